// The list of all applications.

import { byId, make, Rows, say, setAttribute, setHidden, setText } from "./dom.js";
import { age, bytes, count, plural, processors, rate, seconds } from "./format.js";
import { follow } from "./live.js";
import { Spark } from "./plot.js";
import { ProcessMap, StateMark, glyph, stateOf, states } from "./states.js";

const room = 120, interval = 5000, mapSize = 32, sortTime = 5000, maxAttention = 5, rowsAtOnce = 40;

const columns = [
	{ key: "name", title: "Application", of: (a) => a.name.toLowerCase() },
	{ key: "processes", title: "Processes", of: (a) => -a.busy - a.processes / 1e6 },
	{ key: "rate", title: "Requests", of: (a) => -a.rate },
	{ key: "p95", title: "p95", of: (a) => -a.p95 },
	{ key: "queue", title: "Waiting", of: (a) => -a.queue },
	{ key: "memory", title: "Memory", of: (a) => -a.memory },
	{ key: "restarts", title: "Restarts", of: (a) => -a.restarts },
	{ key: "state", title: "State", of: (a) => ["bad", "warn", "info", "good", "calm"].indexOf(stateOf(a).kind) },
];

const apps = new Map(), history = new Map();
let now = 0, newest = 0, pool = {}, sorted = [], sortedAt = 0, troubled = null;
const query = new URLSearchParams(location.search);
let sort = columns.find((c) => c.key === query.get("sort")) ?? columns[0], reverse = query.has("reverse");

const hasTrouble = (a) => ["bad", "warn"].includes(stateOf(a).kind);

// ringOf has the rates and percentiles of an application.
function ringOf(name) {
	if (!history.has(name)) history.set(name, { rate: [], p95: [], fresh: true });

	return history.get(name);
}

function push(values, value) {
	values.push(value);
	if (values.length > room) values.shift();
}

function merge(event, whole) {
	if (whole) {
		apps.clear();
		history.clear();
		for (const h of event.history ?? []) history.set(h.name, { rate: h.rate, p95: h.p95, fresh: true });
		setText(byId("instance"), event.title ?? "");
		setText(byId("version"), event.version ? `Passenger ${event.version}` : "");
		newest = event.newest;
		sortedAt = 0;
	}

	now = event.at;
	pool = event;
	for (const a of event.apps) apps.set(a.name, a);

	for (const name of event.gone ?? []) {
		apps.delete(name);
		history.delete(name);
	}

	for (const point of event.points ?? []) {
		if (point.at - newest < interval / 2) continue;
		newest = point.at;

		const of = new Map(point.of.map((p) => [p.name, p]));
		for (const name of apps.keys()) {
			const ring = ringOf(name), p = of.get(name);
			push(ring.rate, p?.rate ?? 0);
			push(ring.p95, p?.p95 ?? 0);
			ring.fresh = true;
		}
	}
}

// inSight tells rows that are looked at: sparklines of others wait.
const inSight = new IntersectionObserver((entries) => {
	for (const e of entries) {
		e.target.row.visible = e.isIntersecting;
		if (e.isIntersecting) showSparks(e.target.row);
	}
}, { rootMargin: "200px" });

const linkTo = (app) => make("a", { href: `/dashboard/app?name=${encodeURIComponent(app.name)}` }, app.name);

function create(app) {
	const cell = (column, ...children) => make("td", {
		role: "cell",
		class: column.key,
		"data-label": column.title,
	}, ...children);

	const row = { name: app.name, visible: false };
	for (const c of columns.slice(1)) row[c.key] = make("span", { class: "value" });
	row.rateSpark = new Spark();
	row.p95Spark = new Spark("time");
	row.map = new ProcessMap(mapSize);
	row.root = make("span", { class: "sub" });
	row.mark = new StateMark(make("span", { class: "mark" }));
	row.since = make("span", { class: "sub" });
	row.busy = make("span", { class: "value" });

	row.element = make("tr", { role: "row" },
		make("th", { role: "rowheader", scope: "row", class: "name" }, linkTo(app), row.root),
		cell(columns[1], row.map.element, row.busy),
		cell(columns[2], row.rateSpark.element, row.rate),
		cell(columns[3], row.p95Spark.element, row.p95),
		cell(columns[4], row.queue),
		cell(columns[5], row.memory),
		cell(columns[6], row.restarts),
		cell(columns[7], row.mark.element, row.since));
	row.element.row = row;
	inSight.observe(row.element);

	return row;
}


function showSparks(row) {
	const ring = ringOf(row.name);
	if (!ring.fresh) return;

	ring.fresh = false;
	row.rateSpark.show(ring.rate, room, 1);
	row.p95Spark.show(ring.p95, room, 0.05);
}

function update(row, a) {
	const facts = [a.root, a.type, a.environment].filter((part) => part && !a.name.includes(part));
	setText(row.root, facts.join(" · "));

	row.map.show(a.map);
	const more = a.map.length > mapSize ? ` (${a.map.length - mapSize} not drawn)` : "";
	setText(row.busy, a.processes ? `${count(a.busy)} of ${count(a.processes)} busy${more}` : "none");

	setText(row.rate, rate(a.rate));
	setText(row.p95, seconds(a.p95));
	setText(row.queue, count(a.queue));
	setAttribute(row.queue, "class", a.queue ? "value warn" : "value");
	setText(row.memory, bytes(a.memory));
	setText(row.restarts, count(a.restarts) + (a.failedRestarts ? `, ${count(a.failedRestarts)} failed` : ""));

	const state = stateOf(a);
	row.mark.show(state);
	setText(row.since, state.at ? `${age(now - state.at)} ago` : "");

	if (row.visible) showSparks(row);
}

const rows = new Rows(byId("apps"), create, update, rowsAtOnce);

// order sorts now and then, and not under the pointer or the focus: what moves cannot be hit.
function order() {
	const table = byId("apps");
	const used = table.matches(":hover") || table.contains(document.activeElement);
	if (sortedAt && (now - sortedAt < sortTime || used)) {
		const kept = sorted.filter((name) => apps.has(name)), known = new Set(kept);
		sorted = [...kept, ...[...apps.keys()].filter((name) => !known.has(name))];
		return;
	}

	sortedAt = now;
	const all = [...apps.values()].map((a) => [sort.of(a), a.name]);
	all.sort(([x, m], [y, n]) => (x < y ? -1 : x > y ? 1 : m < n ? -1 : 1));
	if (reverse) all.reverse();
	sorted = all.map(([, name]) => name);
}

// show reports whether it has shown all.
function show() {
	const text = byId("filter").value.trim().toLowerCase(), only = byId("only-trouble").checked;
	const has = (part) => part.toLowerCase().includes(text);

	order();
	const shown = sorted
		.map((name) => apps.get(name))
		.filter((a) => (!text || has(a.name) || has(a.root)) && (!only || hasTrouble(a)));
	const whole = rows.show(shown, (a) => a.name);

	const all = plural(apps.size, "application");
	setText(byId("count"), shown.length === apps.size ? all : `${count(shown.length)} of ${all}`);
	setHidden(byId("empty"), shown.length > 0);
	setText(byId("empty"), apps.size
		? "No application is like that."
		: "There is no application yet: the first request brings it.");

	showTotals();
	showAttention();

	return whole;
}

// showAll shows what the viewer has asked for, in as many frames as that takes.
function showAll() {
	if (!show()) requestAnimationFrame(showAll);
}

const totals = new Spark();

function showTotals() {
	const sum = { rate: 0, errors: 0, busy: 0, processes: 0, queue: 0, memory: 0, cpu: 0 };
	let slowest = null;
	for (const a of apps.values()) {
		for (const key of Object.keys(sum)) sum[key] += a[key];
		if (a.p95 > (slowest?.p95 ?? 0)) slowest = a;
	}

	setText(byId("total-rate"), rate(sum.rate));
	setText(byId("total-errors"), sum.errors ? `${rate(sum.errors)} with an error` : "no errors");
	setText(byId("total-p95"), seconds(slowest?.p95));
	setText(byId("total-p95-app"), slowest ? slowest.name : "no requests lately");
	setText(byId("total-busy"), `${count(sum.busy)} of ${count(sum.processes)}`);
	setText(byId("total-capacity"), `room for ${count(pool.max)}`);
	setText(byId("total-queue"), count(sum.queue));
	setText(byId("total-waiting"), pool.waiting ? `${count(pool.waiting)} for room in the pool` : "in all queues");
	setText(byId("total-memory"), bytes(sum.memory));
	setText(byId("total-cpu"), `${processors(sum.cpu)} processors busy`);

	if (newest !== totals.at) {
		totals.at = newest;
		totals.show(sumOfRates(), room, 1);
	}
}

// sumOfRates adds up the rates of all applications. Those that came later have fewer.
function sumOfRates() {
	const values = [];
	for (const { rate } of history.values()) {
		rate.forEach((v, i) => {
			const at = i - rate.length + room;
			values[at] = (values[at] ?? 0) + v;
		});
	}

	return values.filter((v) => v !== undefined);
}

// The mark is made once: what is in the page stays there.
const attention = new Rows(byId("attention-list"), (a) => {
	const why = make("span");
	return { why, element: make("li", {}, linkTo(a), why) };
}, (row, a) => {
	const state = stateOf(a);
	setText(row.why, ` ${state.text}${state.why ? `: ${state.why}` : ""}`);
});

function showAttention() {
	const bad = [...apps.values()]
		.filter((a) => stateOf(a).kind === "bad")
		.sort((a, b) => (a.name < b.name ? -1 : 1));
	setHidden(byId("attention"), bad.length === 0);
	setText(byId("attention-title"), bad.length === 1
		? "1 application needs attention"
		: `${count(bad.length)} applications need attention`);
	attention.show(bad.slice(0, maxAttention), (a) => a.name);

	if (troubled !== null && bad.length > troubled) say(byId("attention-title").textContent);
	troubled = bad.length;
}

function showColumns() {
	for (const c of columns) {
		setAttribute(c.header, "aria-sort", c !== sort ? "none" : reverse ? "descending" : "ascending");
	}

	const url = new URL(location);
	url.search = "";
	if (sort !== columns[0]) url.searchParams.set("sort", sort.key);
	if (reverse) url.searchParams.set("reverse", "");
	window.history.replaceState(null, "", url);
}

export function start() {
	byId("total-spark").append(totals.element);

	for (const c of columns) {
		const button = make("button", { type: "button" }, c.title);
		button.addEventListener("click", () => {
			reverse = c === sort && !reverse;
			sort = c;
			sortedAt = 0;
			showColumns();
			showAll();
		});

		c.header = make("th", { role: "columnheader", scope: "col", class: c.key }, button);
		byId("columns").append(c.header);
	}
	showColumns();

	for (const [letter, { what }] of Object.entries(states)) byId("key").append(make("li", {}, glyph(letter), what));

	byId("tools").addEventListener("input", showAll);
	byId("tools").addEventListener("submit", (event) => event.preventDefault());
	follow("/dashboard/events", merge, show);
}
