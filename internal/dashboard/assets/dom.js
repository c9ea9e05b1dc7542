// Making and changing elements. Texts of applications are only ever set as text.

export const byId = (id) => document.getElementById(id);

const svgTags = new Set(["svg", "path", "circle", "line", "rect", "g", "title", "desc"]);

// make returns an element with attributes and children, which may be texts.
export function make(tag, attributes = {}, ...children) {
	const e = svgTags.has(tag)
		? document.createElementNS("http://www.w3.org/2000/svg", tag)
		: document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
	e.append(...children);

	return e;
}

// setText, setAttribute and setHidden touch the page only where something has changed.
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
	if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function setHidden(element, hidden) {
	if (element.hidden !== hidden) element.hidden = hidden;
}

// Rows keeps the children of an element, by keys. Each is made by create and changed by update. At most so many are
// made at once: a frame has time for no more.
export class Rows {
	constructor(parent, create, update, most = Infinity) {
		Object.assign(this, { parent, create, update, most, rows: new Map() });
	}

	// show reports whether all items have their rows. Where it has made as many as it may, the rest is for another
	// frame.
	show(items, keyOf) {
		const keys = items.map(keyOf), wanted = new Set(keys);
		for (const [key, row] of this.rows) {
			if (wanted.has(key)) continue;
			row.element.remove();
			this.rows.delete(key);
		}

		// What is at its place stays there: moving it would cost it the focus.
		let next = this.parent.firstElementChild, made = 0;
		for (const [i, item] of items.entries()) {
			let row = this.rows.get(keys[i]);
			if (!row) {
				if (made === this.most) continue;

				made++;
				row = this.create(item);
				this.rows.set(keys[i], row);
			}
			this.update(row, item);

			if (row.element === next) next = next.nextElementSibling;
			else this.parent.insertBefore(row.element, next);
		}

		return this.rows.size === wanted.size;
	}
}

// say tells a screen reader something, politely.
export function say(text) {
	byId("news").textContent = text;
}

// settle gives the question that was asked last its answer.
let settle = () => {};

// confirm asks in a dialog. The event of its closing comes later than the closing, maybe when the next question is
// there.
export function confirm(title, text, action) {
	const dialog = byId("confirm");
	const answer = () => settle(dialog.returnValue === "yes");
	answer();

	setText(byId("confirm-title"), title);
	setText(byId("confirm-text"), text);
	setText(byId("confirm-yes"), action);

	dialog.returnValue = "no";
	dialog.onclose = () => dialog.open || answer();
	dialog.showModal();

	return new Promise((resolve) => settle = resolve);
}

// order posts an order and returns what went wrong, or nothing.
export async function order(path, body) {
	try {
		const response = await fetch(path, {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify(body),
		});

		return response.ok ? "" : (await response.text()).trim();
	} catch {
		return "the server cannot be reached";
	}
}

export const mayChange = document.documentElement.dataset.may === "change";
