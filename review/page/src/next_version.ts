// The next version of the network: start training, watch it, look at champion against challenger, promote or refuse.
import { getJson, sendJson } from "./api";
import { ask, say } from "./dialogs";
import { make, table } from "./dom";

interface Difference {
  champion: number;
  challenger: number;
  difference: number;
  low: number;
  high: number;
}

interface Improve {
  state: string;
  text: string;
  progress: number | null;
  log: string[];
  error: string | null;
  ready: { corrected: number; accepted: number; test: number; enough: boolean; missing: string };
  champion: number | null;
  challenger: number | null;
  comparison: { not_worse: boolean; cases: number; labels: Record<string, Difference>; mean: Difference | null; text: string } | null;
}

interface Artifact {
  version: number;
  id: string;
  state: string;
  created: string;
  cases: number | null;
  active: boolean;
}

const RUNNING = ["preparing", "training", "exporting", "comparing"];
const POLL_MS = 2000;

type Choice = "start" | "stop" | "promote" | "refuse" | "rollback";

export async function showNextVersion(failed: (error: unknown) => void): Promise<void> {
  const body = make("div");
  let state: Improve;
  const refresh = async (): Promise<void> => {
    state = await getJson<Improve>("/api/improve");
    const { artifacts } = await getJson<{ artifacts: Artifact[] }>("/api/artifacts");
    body.replaceChildren(...describe(state, artifacts));
  };
  try {
    await refresh();
    const timer = setInterval(() => RUNNING.includes(state.state) && refresh().catch(failed), POLL_MS);
    const choice = await ask<Choice>("Next version of the network", body, choices(state!));
    clearInterval(timer);
    if (choice) await act(choice, state!);
  } catch (error) {
    failed(error);
  }
}

function choices(state: Improve): { text: string; value: Choice; kind?: "good" | "bad" }[] {
  if (RUNNING.includes(state.state)) return [{ text: "Stop", value: "stop", kind: "bad" }];
  if (state.state === "waiting") {
    return [
      { text: `Promote version ${state.challenger}`, value: "promote", kind: "good" },
      { text: "Refuse it", value: "refuse", kind: "bad" },
    ];
  }
  const start: { text: string; value: Choice }[] = state.ready.enough ? [{ text: "Train the next version", value: "start" }] : [];
  return state.champion !== null && state.champion > 1 ? [...start, { text: `Roll back to version ${state.champion - 1}`, value: "rollback" }] : start;
}

async function act(choice: Choice, state: Improve): Promise<void> {
  if (choice === "start") await sendJson("POST", "/api/improve", { epochs: null, minutes: null });
  if (choice === "stop") await sendJson("DELETE", "/api/improve");
  if (choice === "promote") await sendJson("POST", "/api/improve/promote", { version: state.challenger });
  if (choice === "refuse") await sendJson("POST", "/api/improve/refuse", { version: state.challenger, reason: "" });
  if (choice === "rollback") await sendJson("POST", "/api/improve/rollback", { version: state.champion! - 1 });
  const words: Record<Choice, string> = {
    start: "Training started.",
    stop: "Training stopped.",
    promote: `Version ${state.challenger} is in use now.`,
    refuse: `Version ${state.challenger} was refused.`,
    rollback: `Version ${state.champion! - 1} is in use again.`,
  };
  say(words[choice], "note");
}

function describe(state: Improve, artifacts: Artifact[]): HTMLElement[] {
  const { ready, comparison } = state;
  const parts = [make("p", {}, `${ready.corrected} corrected and ${ready.accepted} accepted cases; ${ready.test} fixed test cases. ${ready.missing}`)];
  parts.push(make("p", {}, [state.state, state.text, state.error ?? ""].filter(Boolean).join(": ")));
  if (state.progress !== null) parts.push(make("progress", { max: "1", value: String(state.progress), "aria-label": "Progress" }));
  if (comparison) {
    const rows = Object.entries({ ...comparison.labels, ...(comparison.mean ? { mean: comparison.mean } : {}) });
    parts.push(make("p", {}, `${comparison.text} (${comparison.cases} cases)`));
    parts.push(
      table(
        ["Label", "Champion", "Challenger", "Difference", "95 % interval"],
        rows.map(([name, d]) => [name, d.champion.toFixed(3), d.challenger.toFixed(3), d.difference.toFixed(3), `${d.low.toFixed(3)} to ${d.high.toFixed(3)}`]),
      ),
    );
  }
  parts.push(
    table(
      ["Version", "Artifact", "State", "Cases"],
      artifacts.map((artifact) => [String(artifact.version), artifact.id, artifact.active ? "in use" : artifact.state, String(artifact.cases ?? "")]),
    ),
  );
  if (state.log.length > 0) parts.push(make("pre", {}, state.log.join("\n")));
  return parts;
}
