// The events of the server.

import { byId, setText, setAttribute, setHidden, say } from "./dom.js";

const retryTime = 5000, hiddenTime = 30000;
const unreachable = "The server cannot be reached. This page tries again.";

// follow calls show with each event, merged into what came before by merge, once a frame, and again in the next one if
// show returns false: there is more to show. It stops for pages that have been out of sight for a while: the server
// works only for those that are looked at.
export function follow(url, merge, show) {
	let source = null, timer = 0, hideTimer = 0, frame = 0, lost = false;

	const state = (name, text) => {
		setAttribute(byId("live"), "data-state", name);
		setText(byId("live-text"), text);
	};

	const draw = () => {
		frame = 0;
		if (show() === false) {
			frame = requestAnimationFrame(draw);
			return;
		}

		state("live", "Live");
	};

	const take = (event) => {
		merge(JSON.parse(event.data), event.type === "whole");
		setHidden(byId("trouble"), true);

		if (lost) say("The figures are live again.");
		lost = false;
		frame ||= requestAnimationFrame(draw);
	};

	const complain = (text) => {
		setText(byId("trouble"), text);
		setHidden(byId("trouble"), false);
		state("lost", "Not live");

		if (!lost) say("The figures are not live any more.");
		lost = true;
	};

	const close = () => {
		source?.close();
		source = null;
		clearTimeout(timer);
		timer = 0;
	};

	// An event source does not say what is wrong, and gives up at the first response that is an error.
	const explain = async () => {
		try {
			const response = await fetch(url, { method: "HEAD" });
			if (response.status === 403) {
				return "This page is for another browser, or its server has been started again: " +
					"open the address that was printed last.";
			}
			if (response.status === 503) return "There are too many viewers. This page tries again.";
		} catch { /* below */ }

		return unreachable;
	};

	const open = () => {
		close();
		source = new EventSource(url);
		source.addEventListener("whole", take);
		source.addEventListener("changes", take);
		source.addEventListener("trouble", (event) => {
			complain(`There is nothing new to show: ${JSON.parse(event.data).text}`);
		});

		source.onerror = async () => {
			if (source.readyState !== EventSource.CLOSED) {
				state("waiting", "Connecting");
				timer ||= setTimeout(() => complain(unreachable), retryTime);
				return;
			}

			complain(await explain());
			timer = setTimeout(open, retryTime);
		};

		source.onopen = () => {
			clearTimeout(timer);
			timer = 0;
		};
	};

	document.addEventListener("visibilitychange", () => {
		clearTimeout(hideTimer);
		if (!document.hidden && !source) open();

		if (document.hidden) {
			hideTimer = setTimeout(() => {
				close();
				state("waiting", "Paused");
			}, hiddenTime);
		}
	});

	open();
}
