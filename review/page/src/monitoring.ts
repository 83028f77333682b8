// How the network does in service: rates, control charts, drift, scanners and alerts.
import { getJson } from "./api";
import { ask } from "./dialogs";
import { make, table } from "./dom";

interface Series {
  name: string;
  unit: string;
  points: { t: string; value: number | null; n: number }[];
  center: number | null;
  low: number | null;
  high: number | null;
}

interface Monitoring {
  from: string;
  to: string;
  cases: number;
  decided: number;
  correction_rate: number | null;
  accept_rate: number | null;
  reject_rate: number | null;
  flag_rate: number | null;
  dice_in_service: Record<string, { mean: number; n: number }>;
  seconds_per_case: { median: number | null } | null;
  series: Series[];
  drift: { feature: string; psi: number | null; ks: number | null; p: number | null; alert: boolean; n: number }[];
  groups: { by: string; name: string; cases: number; correction_rate: number | null; dice: number | null }[];
  alerts: { text: string; since: string }[];
}

const SVG = "http://www.w3.org/2000/svg";
const percent = (rate: number | null): string => (rate === null ? "–" : `${(100 * rate).toFixed(0)} %`);
const number = (value: number | null, digits = 2): string => (value === null ? "–" : value.toFixed(digits));

export async function showMonitoring(failed: (error: unknown) => void): Promise<void> {
  try {
    const data = await getJson<Monitoring>("/api/monitoring?days=90");
    const report = make("a", { href: "/api/monitoring/report.html", target: "_blank", rel: "noopener" }, "Monthly report");
    const trail = make("a", { href: "/api/audit.csv", download: "audit.csv" }, "Audit trail (CSV)");
    await ask("Monitoring, the last 90 days", make("div", {}, ...describe(data), make("p", {}, report, " · ", trail)), []);
  } catch (error) {
    failed(error);
  }
}

function describe(data: Monitoring): HTMLElement[] {
  const parts: HTMLElement[] = data.alerts.map((alert) => make("p", { role: "alert" }, `⚠ ${alert.text}, since ${alert.since.slice(0, 10)}`));
  const median = data.seconds_per_case?.median ?? null;
  const rates = `corrected ${percent(data.correction_rate)}, accepted ${percent(data.accept_rate)}, rejected ${percent(data.reject_rate)}`;
  parts.push(make("p", {}, `${data.cases} cases, ${data.decided} decided: ${rates}, flagged ${percent(data.flag_rate)}, median ${number(median, 0)} s a case.`));
  const dice = Object.entries(data.dice_in_service);
  if (dice.length > 0) parts.push(table(["Label", "Dice in service", "Cases"], dice.map(([name, d]) => [name, number(d.mean, 3), String(d.n)])));
  for (const series of data.series) parts.push(make("h3", {}, series.name), chart(series));
  if (data.drift.length > 0) {
    const rows = data.drift.map((d) => [d.feature, number(d.psi), number(d.ks), d.p === null ? "–" : d.p.toExponential(1), String(d.n), d.alert ? "alert" : ""]);
    parts.push(table(["Drift of", "PSI", "KS", "p", "Cases", ""], rows));
  }
  if (data.groups.length > 0) {
    const rows = data.groups.map((g) => [g.by, g.name, String(g.cases), percent(g.correction_rate), number(g.dice, 3)]);
    parts.push(table(["By", "Name", "Cases", "Corrected", "Dice"], rows));
  }
  return parts;
}

/** A control chart: the values, their centre and limits. */
function chart(series: Series): HTMLElement {
  const [width, height, edge] = [600, 120, 10];
  const points = series.points.filter((point): point is Series["points"][number] & { value: number } => point.value !== null);
  const levels = [series.low, series.center, series.high].filter((level): level is number => level !== null);
  const values = [...points.map((point) => point.value), ...levels];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const y = (value: number): number => height - edge - ((value - low) / (high - low || 1)) * (height - 2 * edge);
  const x = (n: number): number => edge + (n / Math.max(1, points.length - 1)) * (width - 2 * edge);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "chart");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const newest = points[points.length - 1];
  svg.setAttribute("aria-label", `${series.name}: ${newest ? `newest ${number(newest.value)} ${series.unit}` : "no values"}; limits ${number(series.low)} to ${number(series.high)}`);
  const draw = (tag: string, attributes: Record<string, string | number>): void => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    svg.append(element);
  };
  for (const level of levels) {
    const limit = level !== series.center;
    draw("line", { x1: edge, x2: width - edge, y1: y(level), y2: y(level), stroke: limit ? "#ff9a90" : "#a9b1bf", "stroke-dasharray": limit ? "5 4" : "none" });
  }
  draw("polyline", { points: points.map((point, n) => `${x(n)},${y(point.value)}`).join(" "), fill: "none", stroke: "#59bfff", "stroke-width": 2 });
  points.forEach((point, n) => draw("circle", { cx: x(n), cy: y(point.value), r: 3, fill: "#59bfff" }));
  return make("div", {}, svg);
}
