// Reports of failed starts and of incidents.

import { make } from "./dom.js";
import { bytes, seconds, when } from "./format.js";

async function fetchInto(body, url, render) {
	body.replaceChildren(make("p", { class: "soft" }, "Loading …"));

	let content;
	try {
		const response = await fetch(url);
		content = response.ok ? render(await response.json()) : [make("p", {}, (await response.text()).trim())];
	} catch {
		content = [make("p", {}, "The report cannot be got: close and open it to try again.")];
	}

	body.replaceChildren(...content);
}

// block is a text of several lines, which scrolls by the keyboard, too.
const block = (title, text) => [
	make("h3", {}, title),
	make("div", { class: "scroll", role: "region", "aria-label": title, tabindex: "0" }, make("pre", {}, text)),
];

const terms = (pairs) => make("dl", { class: "terms" }, ...pairs
	.filter(([, value]) => value !== "" && value !== undefined && value !== null)
	.flatMap(([title, value]) => [make("dt", {}, title), make("dd", {}, String(value))]));

const failure = (f) => [
	...(f.advice ? [make("p", {}, f.advice)] : []),
	terms([
		["Error ID", f.id],
		["Kind", f.category],
		["Failed step", f.step],
		["How it ended", f.exitStatus],
		["Failed", f.preloader ? "the preloader" : ""],
		["Command", f.command],
		["User", f.user],
		["Directory", f.directory],
		["Environment", f.environment],
	]),
	...(f.message ? block("What the application says", f.message) : []),
	...(f.output ? block(f.outputCut ? "The last of its output" : "Output", f.output) : []),
];

export function showFailure(body, id) {
	return fetchInto(body, `/dashboard/failure?id=${encodeURIComponent(id)}`, failure);
}

// words makes a title of the name of a field.
const words = (key) => {
	if (["id", "pid", "tid", "rss"].includes(key)) return key.toUpperCase();

	const text = key.replace(/[_-]+/g, " ").replace(/([a-z\d])([A-Z])/g, "$1 $2").toLowerCase();
	return text.charAt(0).toUpperCase() + text.slice(1);
};

const isPlain = (value) => value === null || typeof value !== "object";
const maxDepth = 5;

// units are those of numbers whose names say nothing of them.
const units = new Map([
	["memory", bytes],
	["rss", bytes],
	["age", seconds],
	["queued", seconds],
	["checkedOut", seconds],
]);

function plain(key, value) {
	if (typeof value === "number" && units.has(key)) return units.get(key)(value);

	const at = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : NaN;
	return Number.isNaN(at) ? String(value) : when(at, Date.now());
}

// show shows any JSON: what is recorded of an incident depends on its kind.
function show(title, value, depth) {
	if (Array.isArray(value)) {
		if (value.every(isPlain)) return value.length ? block(title, value.join("\n")) : [];

		const items = value.map((one) => (isPlain(one) ? [String(one)] : fields(one, depth + 1)));
		return [make("h3", {}, title), make("ol", { class: "records" }, ...items.map((of) => make("li", {}, ...of)))];
	}

	return [make("h3", {}, title), make("div", { class: "record" }, ...fields(value, depth + 1))];
}

function fields(value, depth) {
	if (depth > maxDepth) return [make("pre", {}, JSON.stringify(value))];

	const all = Object.entries(value).filter(([, v]) => v !== "" && v !== null);
	const short = all.filter(([, v]) => isPlain(v) && !String(v).includes("\n"));
	const texts = all.filter(([, v]) => isPlain(v) && String(v).includes("\n"));

	return [
		...(short.length ? [terms(short.map(([key, v]) => [words(key), plain(key, v)]))] : []),
		...texts.flatMap(([key, v]) => block(words(key), v)),
		...all.filter(([, v]) => !isPlain(v)).flatMap(([key, v]) => show(words(key), v, depth)),
	];
}

export function showIncident(body, id) {
	const url = `/dashboard/incident?id=${encodeURIComponent(id)}`;
	return fetchInto(body, url, (incident) => fields(incident, 0));
}
