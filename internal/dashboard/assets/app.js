// One application.

import { byId, confirm, make, mayChange, order, Rows, say, setAttribute, setHidden, setText } from "./dom.js";
import { age, bytes, count, plural, processors, rate, seconds, time, when } from "./format.js";
import { follow } from "./live.js";
import { Plot } from "./plot.js";
import { showFailure, showIncident } from "./report.js";
import { StateMark, glyph, stateOf, states } from "./states.js";

const name = new URLSearchParams(location.search).get("name") ?? "";
const interval = 5, maxTiles = 200, maxSlots = 24;
const spans = [{ minutes: 5, text: "5 min" }, { minutes: 15, text: "15 min" }, { minutes: 60, text: "1 hour" }];

const page = { points: [] };
let span = spans[2], cursorAt = 0, hovered = false;

// A point is a row of these.
const [AT, RATE, ERRORS, P50, P95, P99, QUEUE, BUSY, PROCESSES, MEMORY, CPU] = Array(11).keys();

const plots = [
	new Plot({
		title: "Requests",
		format: rate,
		least: 1,
		lines: [
			{ name: "all", kind: "one", area: true, value: (p) => p[RATE] },
			{ name: "with an error", kind: "bad", value: (p) => p[ERRORS] },
		],
	}),
	new Plot({
		title: "Response time",
		format: seconds,
		least: 0.001,
		holes: true,
		lines: [
			{ name: "p50", kind: "one", value: (p) => p[P50] },
			{ name: "p95", kind: "two", value: (p) => p[P95] },
			{ name: "p99", kind: "three", value: (p) => p[P99] },
		],
	}),
	new Plot({
		title: "Processes",
		format: (x) => count(Math.round(x)),
		least: 1,
		lines: [
			{ name: "all", kind: "calm", value: (p) => p[PROCESSES] },
			{ name: "busy", kind: "one", area: true, value: (p) => p[BUSY] },
			{ name: "waiting", kind: "two", value: (p) => p[QUEUE] },
		],
	}),
	new Plot({
		title: "Memory",
		format: bytes,
		least: 1 << 20,
		lines: [{ name: "with children", kind: "four", area: true, value: (p) => p[MEMORY] }],
	}),
	new Plot({
		title: "Processors",
		format: processors,
		least: 0.1,
		lines: [{ name: "busy", kind: "one", area: true, value: (p) => p[CPU] }],
	}),
];

function merge(event, whole) {
	if (whole) {
		page.points = [];
		setText(byId("instance"), event.title ?? "");
		setText(byId("version"), event.version ? `Passenger ${event.version}` : "");
	}

	for (const part of ["at", "app", "processes", "requests", "failures", "incidents"]) {
		if (event[part] !== undefined) page[part] = event[part];
	}

	const newest = page.points.at(-1)?.[AT] ?? 0;
	page.points.push(...(event.points ?? []).filter((p) => p[AT] - newest > interval * 500));
	page.points.splice(0, page.points.length - 3600 / interval);
	page.moved ||= Boolean(event.points);
}

const mark = new StateMark(byId("state"));

function showFacts(a) {
	const state = stateOf(a);
	mark.show(state);

	const facts = [
		...[a.root, a.type, a.environment].filter((part) => !name.includes(part)),
		a.generation ? plural(a.generation, "restart") : "",
		a.releaseMade ? `this release for ${age(page.at - a.releaseMade)}` : "",
	];
	setText(byId("facts"), facts.filter(Boolean).join(" · "));

	setText(byId("failing"), state.why ? `${state.text} (${when(state.at, page.at)}): ${state.why}` : "");
	setHidden(byId("failing"), !state.why);

	setText(byId("rate"), rate(a.rate));
	setText(byId("errors"), a.errors ? `${rate(a.errors)} with an error` : "no errors");
	setText(byId("p50"), seconds(a.p50));
	setText(byId("p95"), `p95 ${seconds(a.p95)}, p99 ${seconds(a.p99)}`);
	setText(byId("busy"), `${count(a.busy)} of ${count(a.processes)}`);
	setText(byId("slots"), a.slots
		? `${count(a.taken)} of ${plural(a.slots, "slot")} taken`
		: `${plural(a.taken, "request")}, no limit`);
	setText(byId("queue"), count(a.queue));
	setText(byId("starving"), a.starving ? "for room in the pool" : "for a process");
	setText(byId("memory"), bytes(a.memory));
	setText(byId("cpu"), `${processors(a.cpu)} processors busy`);

	const limit = a.max ? `, at most ${count(a.max)}` : "";
	setText(byId("processes-sum"), `${count(a.processes)} running${limit}`);

	setHidden(byId("held"), !a.long);
	setText(byId("held"), held(a));
}

// held says what long requests keep from others, and what to do where it is much.
function held(a) {
	if (!a.slots) return `WebSockets and streams: ${count(a.long)}.`;

	const advice = a.long * 2 > a.slots ? " unlimited_concurrency_paths lets them hold none." : "";
	return `WebSockets and streams hold ${count(a.long)} of ${plural(a.slots, "slot")}.${advice}`;
}

const limitNames = {
	requestTime: "request time",
	queueTime: "time in the queue",
	queueLength: "length of the queue",
	memory: "memory",
	hardMemory: "hard memory limit",
	requests: "requests of a process",
	unresponsive: "no response",
	drainTime: "time to finish",
};

const countRows = [
	["Restarts", (c) => [
		`${count(c.restarts - c.restartFailures - c.restartsReplaced)} went well`,
		c.restartFailures && `${count(c.restartFailures)} failed`,
		c.restartsReplaced && `${count(c.restartsReplaced)} gave way to another`,
	]],
	["Starts of processes", (c) => [count(c.spawns), c.spawnFailures && `${count(c.spawnFailures)} failed`]],
	["Health checks", (c) => [count(c.healthChecks), c.healthFailures && `${count(c.healthFailures)} failed`]],
	["Ended by themselves", (c) => [count(c.exits), c.crashes && `${plural(c.crashes, "crash", "crashes")}`]],
	["Limits that fired", (c) => {
		const fired = Object.entries(limitNames)
			.filter(([key]) => c.limits[key])
			.map(([key, text]) => `${text} ${count(c.limits[key])}`);

		return fired.length ? fired : ["none"];
	}],
];

function showCounts(counts) {
	const values = countRows.map(([, value]) => value(counts).filter(Boolean).join(", "));

	const list = byId("counts");
	if (!list.firstChild) {
		for (const [title] of countRows) list.append(make("div", {}, make("dt", {}, title), make("dd")));
	}

	values.forEach((value, i) => setText(list.children[i].lastChild, value));
}

// Tiles of processes.

function createTile(p) {
	const tile = {
		glyph: make("span"),
		state: make("b"),
		letter: "",
		slots: make("svg", {
			class: "slots",
			"aria-hidden": "true",
			viewBox: "0 0 100 6",
			preserveAspectRatio: "none",
		}),
		now: make("p", { class: "now" }),
		memory: make("dd"),
		cpu: make("dd"),
		up: make("dd"),
		requests: make("dd"),
	};
	const pid = make("span", { class: "soft" }, p.pid ? `PID ${p.pid}` : "");
	const term = (title, value) => make("div", {}, make("dt", {}, title), value);

	tile.element = make("li", {},
		make("p", { class: "head" }, tile.glyph, tile.state, pid),
		tile.slots,
		tile.now,
		make("dl", {},
			term("Memory", tile.memory),
			term("CPU", tile.cpu),
			term("Age", tile.up),
			term("Requests", tile.requests)));

	if (mayChange && p.pid) {
		const button = make("button", { type: "button", "aria-label": `Detach process ${p.pid} …` }, "Detach …");
		button.addEventListener("click", () => detach(p.pid));
		tile.element.append(button);
	}

	return tile;
}

function updateTile(tile, p) {
	const letter = p.state;
	if (letter !== tile.letter) {
		tile.letter = letter;
		tile.glyph.replaceChildren(glyph(letter));
		setText(tile.state, states[letter].name);
		setAttribute(tile.element, "data-state", letter);
	}

	if (!p.pid) {
		setText(tile.now, p.text);
		return;
	}

	showSlots(tile, p);

	const taken = p.concurrency
		? `${count(p.sessions)} of ${plural(p.concurrency, "slot")}`
		: plural(p.sessions, "request");
	const long = p.long ? `, ${count(p.long)} long` : "", old = p.old ? ", earlier release" : "";
	setText(tile.now, taken + long + old);

	setText(tile.memory, bytes(p.memory));
	setText(tile.memory.previousSibling, p.children ? `Memory of ${count(p.children + 1)}` : "Memory");
	setText(tile.cpu, processors(p.cpu));
	setText(tile.up, age(page.at - p.since));
	setText(tile.requests, count(p.processed));
}

// showSlots draws what is taken of a process: each slot for itself where there is room.
function showSlots(tile, p) {
	const key = `${p.sessions}/${p.concurrency}/${p.long}`;
	if (key === tile.drawn) return;
	tile.drawn = key;

	const slots = p.concurrency || Math.max(p.sessions, 1), each = 100 / slots;
	const gap = slots <= maxSlots ? Math.min(2, each / 4) : 0;
	const box = (x, width) => `M${x.toFixed(2)} 0h${width.toFixed(2)}v6h-${width.toFixed(2)}z`;

	const bar = (from, to, kind) => {
		let d = "";
		if (gap) {
			for (let i = from; i < to; i++) d += box(i * each, each - gap);
		} else if (to > from) {
			d = box(from * each, (to - from) * each);
		}

		return make("path", { class: kind, d });
	};

	tile.slots.replaceChildren(
		bar(0, p.long, "long"),
		bar(p.long, p.sessions, "taken"),
		bar(p.sessions, slots, "free"));
}

const tiles = new Rows(byId("processes"), createTile, updateTile);

function showProcesses(a) {
	const starting = [...a.map]
		.filter((letter) => letter === "s")
		.map((letter, i) => ({ key: `s${i}`, state: letter, text: "is being started" }));
	const all = [...page.processes, ...starting];
	tiles.show(all.slice(0, maxTiles), (p) => p.key ?? `${p.pid}-${p.since}`);

	setHidden(byId("no-processes"), all.length > 0 && all.length <= maxTiles);
	setText(byId("no-processes"), all.length
		? `And ${plural(all.length - maxTiles, "process", "processes")} more.`
		: "No process runs: the application sleeps until a request comes.");
}

async function detach(pid) {
	const what = "It gets no more requests, finishes those that it has, and ends. " +
		"Another one takes its place if it is needed.";
	if (!await confirm(`Detach process ${pid}?`, what, "Detach")) return;

	const failure = await order("/dashboard/detach", { pid });
	tell(failure ? `Process ${pid} was not detached: ${failure}` : `Process ${pid} is being detached.`, failure);
}

async function restart() {
	const what = "The new processes take the place of the old ones in the way that the application is " +
		"configured for. Requests in progress may finish.";
	if (!await confirm(`Restart ${name}?`, what, "Restart")) return;

	const failure = await order("/dashboard/restart", { name });
	tell(failure ? `No restart: ${failure}` : "The restart has begun.", failure);
}

// tell shows what has come of an order.
function tell(text, failure) {
	say(text);
	if (!failure) return;

	setText(byId("trouble"), text);
	setHidden(byId("trouble"), false);
}

// Requests in progress.

const waitsFor = (r) => {
	if (r.appDone) return "the client to read the rest";
	if (r.gone) return "the process, which works on it though the client has left";

	return {
		ANALYZING_REQUEST: "the server to read it",
		BUFFERING_REQUEST_BODY: "the client's body",
		CHECKING_OUT_SESSION: "a free process",
		SENDING_HEADER_TO_APP: "the process to take it",
		FORWARDING_BODY_TO_APP: "the process to take its body",
		WAITING_FOR_APP_OUTPUT: r.bytes ? `more of the response (${bytes(r.bytes)} so far)` : "the response",
	}[r.state] ?? r.state;
};

function createRequest(r) {
	const cell = (label, ...children) => make("td", {
		role: "cell",
		"data-label": label,
		class: label.toLowerCase().replace(" ", "-"),
	}, ...children);
	const row = { age: make("span"), waits: make("span"), process: make("span") };

	row.element = make("tr", { role: "row" },
		cell("Age", row.age),
		cell("Request",
			make("span", { class: "method" }, r.method), " ",
			make("span", { class: "path" }, r.path),
			make("span", { class: "sub" }, `${r.host} · ${r.id}`)),
		cell("Waits for", row.waits),
		cell("Process", row.process),
		cell("Client", r.client));

	return row;
}

function updateRequest(row, r) {
	setText(row.age, seconds(Math.max(0, page.at - r.began) / 1000));
	setText(row.waits, waitsFor(r));
	setText(row.process, r.pid ? String(r.pid) : "–");
}

const requests = new Rows(byId("requests"), createRequest, updateRequest);

function showRequests() {
	const { all, shown } = page.requests;
	requests.show(shown ?? [], (r) => `${r.id} ${r.began}`);

	let sum = "";
	if (all) sum = shown.length < all ? `the oldest ${count(shown.length)} of ${count(all)}` : count(all);
	setText(byId("requests-sum"), sum);
	setHidden(byId("requests").parentElement, !all);
	setHidden(byId("no-requests"), all > 0);
}

// Failed starts and incidents have a report, which is got when it is opened.

const occasions = (id, show) => new Rows(byId(id), (o) => {
	const body = make("div", { class: "report" });
	const at = make("span", { class: "soft" }, when(o.at, page.at));
	const details = make("details", {}, make("summary", {}, at, " ", o.text), body);

	details.addEventListener("toggle", () => {
		if (details.open && !body.firstChild) show(body, o.id);
	});

	return { element: make("li", {}, details) };
}, () => {});

const failures = occasions("failures", showFailure), incidents = occasions("incidents", showIncident);

function showOccasions() {
	for (const [part, rows] of [["failures", failures], ["incidents", incidents]]) {
		rows.show(page[part], (o) => `${o.id} ${o.at}`);
		setHidden(byId(part), page[part].length === 0);
		setHidden(byId(`no-${part}`), page[part].length > 0);
	}
}

// The history, and the moment that is looked at.

function showHistory() {
	const room = span.minutes * 60 / interval, points = page.points.slice(-room), cursor = byId("cursor");
	let at = points.length - 1;
	if (cursorAt) at = Math.max(0, points.findIndex((p) => p[AT] >= cursorAt));

	setAttribute(cursor, "max", String(Math.max(points.length - 1, 0)));
	if (cursor.value !== String(at)) cursor.value = String(at);

	for (const plot of plots) plot.show(points, room, at, `${span.text} ago`);

	const latest = !cursorAt || at === points.length - 1;
	const text = points.length && !latest ? time(points[at][AT]) : "now";
	setText(byId("cursor-time"), text);
	if (!points.length) return;

	const values = plots.map((p) => p.said(points[at])).join("; ");
	setAttribute(cursor, "aria-valuetext", `${text}: ${values}`);
}

function look(at) {
	const room = span.minutes * 60 / interval, points = page.points.slice(-room);
	cursorAt = at >= points.length - 1 || at < 0 ? 0 : points[at][AT];
	showHistory();
}

function startHistory() {
	byId("plots").append(...plots.map((p) => p.element));

	for (const one of spans) {
		const radio = make("input", { type: "radio", name: "span", value: String(one.minutes) });
		radio.checked = one === span;
		radio.addEventListener("change", () => {
			span = one;
			cursorAt = 0;
			showHistory();
		});
		byId("spans").append(make("label", {}, radio, one.text));
	}

	byId("cursor").addEventListener("input", () => look(Number(byId("cursor").value)));

	for (const { svg } of plots) {
		svg.addEventListener("pointermove", (event) => {
			const box = svg.getBoundingClientRect(), room = span.minutes * 60 / interval;
			const points = Math.min(page.points.length, room);

			hovered = true;
			look(Math.round((event.clientX - box.left) / box.width * (room - 1)) - room + points);
		});

		svg.addEventListener("pointerleave", () => {
			if (hovered) look(-1);
			hovered = false;
		});
	}
}

function show() {
	const a = page.app;
	setHidden(byId("body"), !a);
	setHidden(byId("restart"), !a || !mayChange);
	if (!a) {
		setText(byId("facts"), "There is no application of this name, or none any more.");
		setHidden(byId("state"), true);
		return;
	}

	showFacts(a);
	showCounts(a.counts);
	showProcesses(a);
	showRequests();
	showOccasions();

	// The plots have something new with each point only.
	if (page.moved) showHistory();
	page.moved = false;
}

export function start() {
	document.title = `${name} – Passenger`;
	setText(byId("name"), name);
	byId("restart").addEventListener("click", restart);
	startHistory();
	follow(`/dashboard/events?app=${encodeURIComponent(name)}`, merge, show);
}
