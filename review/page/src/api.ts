// The server's HTTP interface, typed. Every failure is an ApiError with the server's own line.
import type { Point } from "./geometry";

export type State = "waiting" | "segmenting" | "segmented" | "failed" | "accepted" | "corrected" | "rejected";

export interface Label {
  name: string;
  value: number;
  color: [number, number, number];
}

export interface SmartTool {
  id: string;
  title?: string;
  points: "few" | "many" | "none";
}

export interface WindowPreset {
  name: string;
  low: number;
  high: number;
}

export interface Info {
  name: string;
  version: string;
  token_required: boolean;
  read_only: boolean;
  rank: number;
  labels: Label[];
  tools: SmartTool[];
  reasons: string[];
  window_presets: WindowPreset[];
}

export interface Draft {
  user: string;
  seq: number;
  base: number;
  saved: string;
  window: string;
}

/** What tells a draft from all others of the same person and case. */
export const markOf = (draft: { window: string; seq: number }): string => `${draft.window}/${draft.seq}`;

/** Which window saves a draft, and the mark of the draft that it has seen, "" for none. */
export interface Sender {
  window: string;
  seen: string;
}

export interface CaseRow {
  id: string;
  state: State;
  need: number;
  quality: { dice: number; low: number; high: number } | null;
  flags: string[];
  error: string | null;
  age_hours: number;
  version: number | null;
  user: string | null;
  reason: string;
  draft: Draft | null;
  open_by: string[];
  modality: string | null;
  patient: string | null;
  previous: string | null;
}

export interface Version {
  version: number;
  kind: string;
  artifact: string | null;
  user: string | null;
  created: string;
  seconds: number | null;
  voxels_changed: number | null;
  dice: Record<string, number> | null;
  base: number | null;
}

export interface CaseDetail extends CaseRow {
  shape: Point;
  spacing: Point;
  rgb: boolean;
  channels: number;
  window: { low: number; high: number } | null;
  volumes_ml: Record<string, number>;
  versions: Version[];
  drafts: Draft[];
}

export interface Worklist {
  total: number;
  counts: Partial<Record<State, number>>;
  segmenting: { done: number; total: number; current: string | null } | null;
  cases: CaseRow[];
}

export interface Other {
  user: string;
  since: string;
  draft: boolean;
}

export interface Decision {
  case: CaseRow;
  version: number;
  voxels_changed: number | null;
  dice: Record<string, number> | null;
}

export interface Marks {
  label: number;
  foreground: Point[];
  background: Point[];
  box: [Point, Point] | null;
  base: "draft" | number | null;
  axis?: number;
}

/** Status 0: the server did not answer. `extra` is the JSON of the answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly extra: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

let userName = "";

export function setUser(name: string): void {
  userName = name;
}

export function user(): string {
  return userName || "unnamed";
}

async function call(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  headers.set("X-User", encodeURIComponent(user()));
  let response: Response;
  try {
    response = await fetch(path, { ...options, headers, credentials: "same-origin" });
  } catch {
    throw new ApiError(0, "the server does not answer");
  }
  if (response.ok || response.status === 304) return response;
  let extra: Record<string, unknown> = {};
  try {
    extra = (await response.json()) as Record<string, unknown>;
  } catch {
    // not JSON: the status has to do
  }
  throw new ApiError(response.status, typeof extra.error === "string" ? extra.error : `the server answered ${response.status}`, extra);
}

export async function getJson<T>(path: string): Promise<T> {
  return (await call(path)).json() as Promise<T>;
}

export async function sendJson<T>(method: string, path: string, body?: unknown): Promise<T> {
  const options = body === undefined ? { method } : { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await call(path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Whether the server knows a path. */
export async function exists(path: string): Promise<boolean> {
  try {
    await call(path);
    return true;
  } catch (error) {
    return !(error instanceof ApiError && error.status === 404);
  }
}

async function bytes(path: string): Promise<ArrayBuffer> {
  return (await call(path)).arrayBuffer();
}

const requested = new Map<string, Promise<unknown>>();

/** The answer that is on its way since `askAhead`, else that of a new request. */
function once<T>(name: string, make: () => Promise<T>): Promise<T> {
  const early = requested.get(name) as Promise<T> | undefined;
  requested.delete(name);
  return early ?? make();
}

/** Asks for all that opening a case takes, before it is opened. */
export function askAhead(id: string, version: number | null): void {
  const answers: [string, Promise<unknown>][] = [
    [`detail ${id}`, caseDetail(id)],
    [`volume ${id}`, volume(id)],
  ];
  if (version) answers.push([`label ${id} ${version}`, label(id, version)]);
  for (const [name, answer] of answers) {
    answer.catch(() => undefined); // whoever opens the case is told
    requested.set(name, answer);
  }
}

/** Drops what was asked for and not used: later it would be out of date. */
export function forgetAhead(): void {
  requested.clear();
}

const at = (id: string): string => `/api/cases/${encodeURIComponent(id)}`;

export const info = (): Promise<Info> => getJson("/api/info");
export const login = (token: string): Promise<void> => sendJson("POST", "/api/login", { token });
export const caseDetail = (id: string): Promise<CaseDetail> => once(`detail ${id}`, () => getJson(at(id)));
export const volume = (id: string): Promise<ArrayBuffer> => once(`volume ${id}`, () => bytes(`${at(id)}/volume.nii`));
export const label = (id: string, version: number): Promise<ArrayBuffer> => once(`label ${id} ${version}`, () => bytes(`${at(id)}/label.nii?version=${version}`));
export const presence = (id: string, open: boolean): Promise<{ others: Other[] }> => sendJson("POST", `${at(id)}/presence`, { open });
export const discardDraft = (id: string, from: Sender): Promise<void> => sendJson("DELETE", `${at(id)}/draft?${sender(from)}`);
export const decide = (id: string, decision: Record<string, unknown>): Promise<Decision> => sendJson("POST", `${at(id)}/decision`, decision);

/** Says that a case was left, also while the page is closing. */
export function leave(id: string): void {
  const body = new Blob([JSON.stringify({ open: false })], { type: "application/json" });
  navigator.sendBeacon(`${at(id)}/presence?user=${encodeURIComponent(user())}`, body);
}

/** The worklist, or null where nothing changed since the last call. */
export class WorklistCall {
  private etag = "";
  private query = "";

  async get(sort: string, state: string): Promise<Worklist | null> {
    const query = `sort=${sort}&limit=500${state ? `&state=${state}` : ""}`;
    const headers: Record<string, string> = this.etag && query === this.query ? { "If-None-Match": this.etag } : {};
    const response = await call(`/api/cases?${query}`, { headers, cache: "no-store" });
    if (response.status === 304) return null;
    this.etag = response.headers.get("ETag") ?? "";
    this.query = query;
    return response.json() as Promise<Worklist>;
  }
}

export async function getDraft(id: string): Promise<{ bytes: ArrayBuffer; seq: number; base: number; window: string }> {
  const response = await call(`${at(id)}/draft`, { cache: "no-store" });
  return {
    bytes: await plain(await response.arrayBuffer()),
    seq: Number(response.headers.get("X-Seq")),
    base: Number(response.headers.get("X-Base")),
    window: response.headers.get("X-Window") ?? "",
  };
}

/** The draft of another person, as NIfTI. */
export async function draftOf(id: string, name: string): Promise<ArrayBuffer> {
  return plain(await bytes(`${at(id)}/draft?of=${encodeURIComponent(name)}`));
}

/** The bytes of a file that may be gzipped. */
export async function plain(file: ArrayBuffer): Promise<ArrayBuffer> {
  const start = new Uint8Array(file.slice(0, 2));
  if (start[0] !== 0x1f || start[1] !== 0x8b) return file;
  return new Response(new Blob([file]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

const sender = (from: Sender): string => `window=${from.window}&seen=${encodeURIComponent(from.seen)}`;

export async function putDraft(id: string, numbers: { base: number; seq: number }, from: Sender, body: ArrayBuffer): Promise<{ draft: Draft; others: Other[] }> {
  const headers = { "Content-Type": "application/gzip" };
  const response = await call(`${at(id)}/draft?base=${numbers.base}&seq=${numbers.seq}&${sender(from)}`, { method: "PUT", body, headers });
  return response.json() as Promise<{ draft: Draft; others: Other[] }>;
}

/** What a smart tool finds: 1 where the label shall be. NIfTI. */
export async function smartTool(id: string, tool: string, marks: Marks): Promise<ArrayBuffer> {
  const headers = { "Content-Type": "application/json" };
  const response = await call(`${at(id)}/tools/${encodeURIComponent(tool)}`, { method: "POST", body: JSON.stringify(marks), headers });
  return response.arrayBuffer();
}
