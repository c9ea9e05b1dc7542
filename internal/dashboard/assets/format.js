// Numbers for people.

const whole = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en", {
	hour: "2-digit",
	minute: "2-digit",
	second: "2-digit",
	hourCycle: "h23",
});
const day = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });

export const count = (n) => whole.format(n);
export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

// short gives a number two or three digits.
function short(x) {
	if (x >= 100) return whole.format(Math.round(x));
	if (x >= 10 || x === 0) return x.toFixed(0);
	return x.toFixed(x >= 1 ? 1 : 2);
}

export const rate = (x) => `${short(x)}/s`;

// seconds is a duration; zero means that there was nothing to measure.
export function seconds(x) {
	if (!x) return "–";
	if (x < 0.001) return `${Math.max(1, Math.round(x * 1e6))} µs`;
	if (x < 1) return `${x < 0.01 ? (x * 1000).toFixed(1) : Math.round(x * 1000)} ms`;
	if (x < 100) return `${x.toFixed(x < 10 && x % 1 ? 1 : 0)} s`;
	return age(x * 1000);
}

export function bytes(x) {
	if (!x) return "–";

	for (const unit of ["B", "KB", "MB", "GB"]) {
		if (x < 1000 || unit === "GB") return `${x < 10 && unit !== "B" ? x.toFixed(1) : Math.round(x)} ${unit}`;
		x /= 1024;
	}
}

export const processors = (x) => (x < 0.005 ? "0" : x % 1 ? x.toFixed(x < 10 ? 2 : 0) : String(x));

// age is a duration of milliseconds, in its largest unit.
export function age(ms) {
	const s = Math.max(0, Math.round(ms / 1000));
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min`;
	if (s < 48 * 3600) return `${Math.floor(s / 3600)} h`;
	return `${Math.floor(s / 86400)} d`;
}

export const time = (ms) => clock.format(ms);

// when is a time of the day, or a day.
export function when(ms, now) {
	return now - ms < 12 * 3600e3 ? clock.format(ms) : `${day.format(ms)}, ${clock.format(ms)}`;
}
