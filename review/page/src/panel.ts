// The panel at the right: tools, labels, view. It changes the settings and says what of it counts now.
import type { Info, Label, SmartTool } from "./api";
import type { Layout, ScanCanvas } from "./canvas";
import { button, byId, make, option } from "./dom";
import { type Tool, type ToolId, type ToolSettings, TOOLS, toolOf } from "./tools";

const AUTO = "auto";
/** The axis that the slices of a layout of one plane cut. */
const AXES: Partial<Record<Layout, number>> = { axial: 2, coronal: 1, sagittal: 0 };

export class Panel {
  private readonly toolButtons = new Map<ToolId, HTMLButtonElement>();
  private readonly size = byId<HTMLInputElement>("size");
  private readonly window = byId<HTMLSelectElement>("window");
  private readonly opacity = byId<HTMLInputElement>("opacity");
  private readonly overlay = byId<HTMLInputElement>("overlay");
  private readonly layout = byId<HTMLSelectElement>("layout");
  private auto: { low: number; high: number } | null = null;

  constructor(
    private readonly info: Info,
    private readonly settings: ToolSettings,
    private readonly canvas: ScanCanvas,
    private readonly changed: () => void,
    private readonly faced: (axis: number) => void,
  ) {
    for (const tool of TOOLS) {
      if (tool.smart && this.methods(tool).length === 0) continue;
      const element = button(tool.title, () => this.choose(tool.id), { role: "radio", title: `${tool.help} (${tool.key})`, "data-tool": tool.id });
      this.toolButtons.set(tool.id, element);
      byId("tools").append(element);
    }
    byId("labels").append(...info.labels.slice(1).map((label, n) => this.labelButton(label, n + 1)));
    this.window.append(option(AUTO, AUTO), ...info.window_presets.map((preset) => option(preset.name, preset.name)));
    const inputs: [HTMLElement, string, () => void][] = [
      [this.size, "input", () => (settings.size = Number(this.size.value))],
      [byId("ball"), "change", () => (settings.ball = byId<HTMLInputElement>("ball").checked)],
      [byId("low"), "input", () => (settings.low = Number(byId<HTMLInputElement>("low").value))],
      [byId("high"), "input", () => (settings.high = Number(byId<HTMLInputElement>("high").value))],
      [byId("background"), "change", () => (settings.background = byId<HTMLInputElement>("background").checked)],
      [byId("method"), "change", () => this.setMethod(byId<HTMLSelectElement>("method").value)],
      [this.window, "change", () => this.applyWindow()],
      [this.opacity, "input", () => this.applyOpacity()],
      [this.overlay, "change", () => this.applyOpacity()],
      [this.layout, "change", () => this.applyLayout()],
      [byId("smooth"), "change", () => canvas.setSmooth(byId<HTMLInputElement>("smooth").checked)],
    ];
    for (const [element, event, act] of inputs) element.addEventListener(event, () => (act(), this.show()));
  }

  choose(id: ToolId): void {
    if (!this.toolButtons.has(id)) return;
    this.settings.tool = id;
    this.settings.background = false;
    this.show();
    this.changed();
  }

  chooseLabel(number: number): void {
    if (number >= this.info.labels.length) return;
    this.settings.number = number;
    this.show();
    this.changed();
  }

  resize(factor: number): void {
    this.settings.size = Math.min(Number(this.size.max), Math.max(Number(this.size.min), Math.round(2 * this.settings.size * factor) / 2));
    this.show();
  }

  toggleBackground(): void {
    this.settings.background = !this.settings.background;
    this.show();
  }

  toggleOverlay(): void {
    this.overlay.checked = !this.overlay.checked;
    this.applyOpacity();
  }

  changeOpacity(percent: number): void {
    this.opacity.value = String(Number(this.opacity.value) + percent);
    this.applyOpacity();
  }

  nextWindow(): void {
    this.window.selectedIndex = (this.window.selectedIndex + 1) % this.window.options.length;
    this.applyWindow();
  }

  nextLayout(): void {
    this.layout.selectedIndex = (this.layout.selectedIndex + 1) % this.layout.options.length;
    this.applyLayout();
  }

  /** A case was opened: its own window, a brush that fits its voxels, its volumes. */
  open(window: { low: number; high: number } | null, spacing: number[], flat: boolean, volumes: Record<string, number>): void {
    this.auto = window;
    if (this.window.value === AUTO) this.showRange();
    else this.applyWindow();
    if (!this.settings.size) this.settings.size = Math.round(10 * Math.min(...spacing)) / 2;
    if (window) Object.assign(this.settings, { low: (window.low + window.high) / 2, high: window.high });
    this.layout.disabled = flat;
    this.applyLayout();
    this.applyOpacity();
    this.info.labels.slice(1).forEach((label, n) => {
      const volume = volumes[label.name];
      byId(`volume-${n + 1}`).textContent = volume === undefined ? "" : `${volume.toFixed(2)} ml`;
    });
    this.show();
  }

  show(): void {
    const { settings } = this;
    const tool = toolOf(settings.tool);
    for (const [id, element] of this.toolButtons) element.setAttribute("aria-checked", String(id === settings.tool));
    byId("labels").querySelectorAll("button").forEach((element, n) => element.setAttribute("aria-checked", String(n + 1 === settings.number)));
    byId("for-brush").hidden = !tool.brush;
    byId("for-threshold").hidden = settings.tool !== "threshold";
    byId("for-smart").hidden = !tool.smart;
    this.size.value = String(settings.size);
    byId("size-text").textContent = `${settings.size} mm`;
    byId<HTMLInputElement>("low").value = String(settings.low);
    byId<HTMLInputElement>("high").value = String(settings.high);
    byId<HTMLInputElement>("background").checked = settings.background;
    if (tool.smart) {
      const method = byId<HTMLSelectElement>("method");
      method.replaceChildren(...this.methods(tool).map((row) => option(row.id, row.title ?? row.id)));
      method.value = tool.smart === "few" ? settings.few : settings.many;
    }
  }

  private methods(tool: Tool): SmartTool[] {
    return this.info.tools.filter((row) => row.points === tool.smart || (row.points === "many" && tool.smart === "few"));
  }

  private setMethod(id: string): void {
    if (toolOf(this.settings.tool).smart === "few") this.settings.few = id;
    else this.settings.many = id;
  }

  private applyLayout(): void {
    const layout = this.layout.disabled ? "axial" : (this.layout.value as Layout);
    this.canvas.setLayout(layout);
    if (layout in AXES) this.faced(AXES[layout]!);
  }

  private applyWindow(): void {
    const preset = this.info.window_presets.find((row) => row.name === this.window.value) ?? this.auto;
    if (preset) this.canvas.setWindow(preset.low, preset.high);
    this.showRange();
  }

  private showRange(): void {
    const { low, high } = this.canvas.getWindow();
    this.window.title = `${low} to ${high}`;
  }

  private applyOpacity(): void {
    this.canvas.setOpacity(Number(this.opacity.value) / 100, this.overlay.checked);
  }

  private labelButton(label: Label, number: number): HTMLElement {
    const colour = make("i", { "aria-hidden": "true" });
    colour.style.background = `rgb(${label.color.join(",")})`;
    const element = button("", () => this.chooseLabel(number), { role: "radio", "aria-checked": "false", title: number < 10 ? `(${number})` : "" });
    element.append(colour, make("span", {}, label.name), make("small", { id: `volume-${number}` }));
    return element;
  }
}
