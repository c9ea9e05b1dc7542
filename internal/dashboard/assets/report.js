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
const block = (title, text) => [make("h3", {}, title), make("div", { class: "scroll", role: "region", "aria-label": title, tabindex: "0" }, make("pre", {}, text))];

const terms = (pairs) => make("dl", { class: "terms" }, ...pairs.filter(([, value]) => value !== "" && value !== undefined && value !== null)
	.flatMap(([title, value]) => [make("dt", {}, title), make("dd", {}, String(value))]));

export const showFailure = (body, id) => fetchInto(body, `/dashboard/failure?id=${encodeURIComponent(id)}`, (f) => [
	...(f.advice ? [make("p", {}, f.advice)] : []),
	terms([["Error ID", f.id], ["Kind", f.category], ["Failed step", f.step], ["How it ended", f.exitStatus], ["Failed", f.preloader ? "the preloader" : ""],
		["Command", f.command], ["User", f.user], ["Directory", f.directory], ["Environment", f.environment]]),
	...(f.message ? block("What the application says", f.message) : []),
	...(f.output ? block(f.outputCut ? "The last of its output" : "Output", f.output) : []),
]);

// words makes a title of the name of a field.
const words = (key) => {
	if (["id", "pid", "tid", "rss"].includes(key)) return key.toUpperCase();
	const text = key.replace(/[_-]+/g, " ").replace(/([a-z\d])([A-Z])/g, "$1 $2").toLowerCase();
	return text.charAt(0).toUpperCase() + text.slice(1);
};

const isPlain = (value) => value === null || typeof value !== "object";
const maxDepth = 5;

// units are those of numbers whose names say nothing of them.
const units = new Map([["memory", bytes], ["rss", bytes], ["age", seconds], ["queued", seconds], ["checkedOut", seconds]]);

const plain = (key, value) => typeof value === "number" && units.has(key) ? units.get(key)(value) : (/^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value)) ? when(Date.parse(value), Date.now()) : String(value));

// show shows any JSON: what is recorded of an incident depends on its kind.
function show(title, value, depth) {
	if (Array.isArray(value)) {
		if (value.every(isPlain)) return value.length ? block(title, value.join("\n")) : [];
		return [make("h3", {}, title), make("ol", { class: "records" }, ...value.map((one) => make("li", {}, ...(isPlain(one) ? [String(one)] : fields(one, depth + 1)))))];
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

export const showIncident = (body, id) => fetchInto(body, `/dashboard/incident?id=${encodeURIComponent(id)}`, (incident) => fields(incident, 0));
