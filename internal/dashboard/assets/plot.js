// Plots. The coordinates of a plot are 1000 by 100; its SVG is stretched, and its strokes are not.

import { make, setAttribute, setText } from "./dom.js";
import { time } from "./format.js";

const width = 1000, height = 100;

const coordinate = (x) => (Math.round(x * 10) / 10).toString();

// line returns the path of values, of which there may be room for more: then they are at the right. A hole is null.
function line(values, room, top, closed) {
	let d = "", open = false;
	const x = (i) => coordinate(((i + room - values.length) / (room - 1)) * width);

	values.forEach((v, i) => {
		if (v === null) {
			open = false;
			return;
		}

		const at = `${x(i)} ${coordinate(height - (v / top) * height)}`;
		d += open ? `L${at}` : `M${at}L${at}`;
		open = true;
	});
	if (closed && d) d += `L${width} ${height}L${x(0)} ${height}z`;

	return d;
}

// Spark is a line without an axis.
export class Spark {
	constructor(kind = "") {
		this.area = make("path", { class: "area" });
		this.line = make("path", { class: "line" });
		this.element = make("svg", {
			viewBox: `0 -4 ${width} ${height + 8}`,
			preserveAspectRatio: "none",
			class: `spark ${kind}`,
			"aria-hidden": "true",
		}, this.area, this.line);
	}

	show(values, room, least) {
		const top = Math.max(least, ...values);
		setAttribute(this.area, "d", line(values, room, top, true));
		setAttribute(this.line, "d", line(values, room, top, false));
	}
}

// ceiling is a round number above all values.
function ceiling(top, least) {
	let unit = least;
	while (unit * 10 < top) unit *= 10;

	return [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= top) ?? top;
}

// swatch shows how a line of that kind looks.
const swatch = (kind) => make("svg", { viewBox: "0 0 16 8", class: "swatch", "aria-hidden": "true" },
	make("path", { class: `line ${kind}`, d: "M0 4h16" }));

// Plot is one figure with its lines, each of which has a name, a kind and the value of a point.
export class Plot {
	constructor({ title, lines, format, least, holes }) {
		Object.assign(this, { lines, format, least, holes });
		this.description = make("desc");
		this.cursor = make("line", { class: "cursor", y1: "-4", y2: String(height) });
		this.paths = lines.map(({ kind, area }) => {
			const stroke = make("path", { class: `line ${kind}` });
			return { stroke, area: area && make("path", { class: `area ${kind}` }) };
		});

		// Areas are below all lines.
		this.svg = make("svg", { viewBox: `0 -4 ${width} ${height + 4}`, preserveAspectRatio: "none", role: "img" },
			make("title", {}, title),
			this.description,
			...["0", "50", "100"].map((y) => make("line", { class: "grid", x1: "0", x2: String(width), y1: y, y2: y })),
			...this.paths.filter((p) => p.area).map((p) => p.area),
			...this.paths.map((p) => p.stroke),
			this.cursor);

		this.outputs = lines.map(() => make("b"));
		this.top = make("span", { class: "top", "aria-hidden": "true" });
		this.from = make("span");

		const key = lines.map(({ name, kind }, i) => make("li", {}, swatch(kind), `${name} `, this.outputs[i]));
		this.element = make("figure", {},
			make("figcaption", {}, make("h3", {}, title), make("ul", {}, ...key)),
			make("div", { class: "field" }, this.top, this.svg),
			make("p", { class: "axis", "aria-hidden": "true" }, this.from, make("span", {}, "now")));
	}

	// show draws points, of which there is room for more, and the values of the one at an index.
	show(points, room, at, from) {
		const value = (line, p) => (this.holes && line.value(p) === 0 ? null : line.value(p));

		let highest = 0;
		const all = this.lines.map((l) => points.map((p) => {
			const v = value(l, p);
			highest = Math.max(highest, v ?? 0);
			return v;
		}));

		const top = ceiling(highest, this.least);
		this.lines.forEach((l, i) => {
			setAttribute(this.paths[i].stroke, "d", line(all[i], room, top, false));
			if (this.paths[i].area) setAttribute(this.paths[i].area, "d", line(all[i], room, top, true));
			setText(this.outputs[i], points.length ? this.format(l.value(points[at])) : "–");
		});
		setText(this.top, this.format(top));
		setText(this.from, from);

		const x = coordinate(((at + room - points.length) / (room - 1)) * width);
		setAttribute(this.cursor, "x1", x);
		setAttribute(this.cursor, "x2", x);
		setAttribute(this.cursor, "class", at === points.length - 1 ? "cursor latest" : "cursor");

		if (points.length) {
			const from = time(points[0][0]), to = time(points.at(-1)[0]);
			setText(this.description, `${from} to ${to}, at most ${this.format(highest)}`);
		}
	}

	// said is what a screen reader hears of a point.
	said(point) {
		return this.lines.map((l) => `${l.name} ${this.format(l.value(point))}`).join(", ");
	}
}
