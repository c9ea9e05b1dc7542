// What states are called, and how they look: each has a shape of its own beside its colour.

import { make, setAttribute, setHidden } from "./dom.js";

export const states = {
	f: { name: "full", what: "busy, without a free slot" },
	b: { name: "busy", what: "busy" },
	i: { name: "idle", what: "idle" },
	s: { name: "starting", what: "starting" },
	d: { name: "draining", what: "finishes its requests, then ends" },
	x: { name: "disabled", what: "disabled" },
};

// shapes are paths in a square of 8.
const shapes = {
	f: (x, y) => `M${x} ${y}h8v8h-8z`,
	b: (x, y) => `M${x} ${y}h8v8h-8z`,
	i: (x, y) => `M${x + 0.75} ${y + 0.75}h6.5v6.5h-6.5z`,
	s: (x, y) => `M${x} ${y + 4}l4 -4l4 4l-4 4z`,
	d: (x, y) => `M${x} ${y}h8l-8 8z`,
	x: (x, y) => `M${x + 0.75} ${y + 0.75}h6.5v6.5h-6.5zM${x + 1} ${y + 7}l6 -6`,
};

export function glyph(letter) {
	return make("svg", { viewBox: "0 0 8 8", class: "glyph", "aria-hidden": "true" },
		make("path", { class: `p-${letter}`, d: shapes[letter](0, 0) }));
}

const across = 16, step = 10;

// ProcessMap draws a square for each process.
export class ProcessMap {
	constructor(most) {
		this.most = most;
		this.element = make("svg", { class: "map", "aria-hidden": "true" });
		this.paths = {};
		this.shown = null;
	}

	show(map) {
		if (map === this.shown) return;
		this.shown = map;

		const d = {}, n = Math.min(map.length, this.most);
		for (let i = 0; i < n; i++) {
			d[map[i]] = (d[map[i]] ?? "") + shapes[map[i]]((i % across) * step, Math.floor(i / across) * step);
		}

		for (const letter of Object.keys({ ...this.paths, ...d })) {
			this.paths[letter] ??= this.element.appendChild(make("path", { class: `p-${letter}` }));
			setAttribute(this.paths[letter], "d", d[letter] ?? "");
		}

		const width = Math.min(n, across) * step, height = Math.ceil(n / across) * step;
		setAttribute(this.element, "viewBox", `0 0 ${width} ${height}`);
		setAttribute(this.element, "width", String(width));
		setAttribute(this.element, "height", String(height));
	}
}

// stateOf is the state of an application in words: how grave it is, and since when.
export function stateOf(app) {
	const { deployment, spawn } = app;
	if (deployment) return { kind: "bad", text: "New release does not start", at: deployment.at, why: deployment.text };
	if (spawn) {
		const text = app.processes ? "A process does not start" : "Does not start";
		return { kind: "bad", text, at: spawn.at, why: spawn.text };
	}

	if (app.starving) return { kind: "warn", text: "Waits for room in the pool" };
	if (app.restarting) return { kind: "info", text: "Restarting" };
	if (app.queue) return { kind: "warn", text: "Requests wait" };
	if (app.processes) return app.taken ? { kind: "good", text: "Serving" } : { kind: "calm", text: "Idle" };

	return app.map.includes("s") ? { kind: "info", text: "Starting" } : { kind: "calm", text: "Sleeping" };
}

const marks = {
	bad: "M4 0l4 8h-8z",
	warn: "M4 0l4 8h-8z",
	info: "M0 4l4 -4l4 4l-4 4z",
	good: "M4 0a4 4 0 0 1 0 8a4 4 0 0 1 0 -8z",
	calm: "M4 1a3 3 0 0 1 0 6a3 3 0 0 1 0 -6z",
};

// StateMark is the sign of a state, and its text.
export class StateMark {
	constructor(element) {
		this.element = element;
		this.path = make("path");
		this.text = document.createTextNode("");

		const sign = make("svg", { viewBox: "0 0 8 8", class: "glyph", "aria-hidden": "true" }, this.path);
		element.append(sign, this.text);
	}

	show(state) {
		setAttribute(this.element, "data-kind", state.kind);
		setAttribute(this.path, "d", marks[state.kind]);
		if (this.text.data !== state.text) this.text.data = state.text;
		setHidden(this.element, false);
	}
}
