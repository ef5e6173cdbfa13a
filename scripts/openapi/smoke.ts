// A client that openapi-typescript made of Gavel's own document, used as an
// upstream service would: what compiles here is what the document promises, and
// what runs is what the dispatcher does. Run by scripts/openapi.sh.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./gavel.js";

type Problem = components["schemas"]["Problem"];

const baseUrl = process.env.GAVEL_URL!;
const as = (key: string) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const alice = as("dev-alice"), bob = as("dev-bob"), admin = as("dev-admin");
const input = { problem: "Should we open a second office next year?", max_rounds: 1, max_sub_problems: 1 };

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((r) => setTimeout(r, 50))) {
    const seen = await look();
    if (seen !== undefined) return seen;
  }
  throw new Error(`${what}: not within a minute`);
}

// Submit twice with one key: one job.
const header = { "Idempotency-Key": `smoke-${Date.now()}` };
const body = { kind: "deliberation", input };
const first = await alice.POST("/v1/jobs", { params: { header }, body });
const again = await alice.POST("/v1/jobs", { params: { header }, body });
assert.equal(first.response.status, 202);
assert.equal(again.data!.id, first.data!.id);
assert.equal(again.data!.created, false);

// Wait for its result.
const id = first.data!.id;
const done = await until("the job is over", async () => {
  const { data } = await alice.GET("/v1/jobs/{id}", { params: { path: { id } } });
  return data && ["succeeded", "failed", "killed"].includes(data.state) ? data : undefined;
});
assert.equal(done.state, "succeeded");
const result = await alice.GET("/v1/jobs/{id}/result", { params: { path: { id } } });
assert.equal(result.data!.outcome, "succeeded");

// A problem has its type; what is another's does not exist.
const foreign = await bob.GET("/v1/jobs/{id}", { params: { path: { id } } });
assert.equal(foreign.response.status, 404);
const problem: Problem = foreign.error!;
assert.equal(problem.type, "urn:gavel:problem:not-found");

// Kill one, and read its receipt.
const next = await alice.POST("/v1/jobs", { params: { header: { "Idempotency-Key": `next-${Date.now()}` } }, body });
const kill = await alice.POST("/v1/jobs/{id}/kill", {
  params: { path: { id: next.data!.id } }, body: { reason: "wrong question", wait_seconds: 20 },
});
assert.equal(kill.response.status, 200);
const tally = kill.data!.tally!;
assert.equal(tally.targeted, tally.stopped + tally.not_running + tally.already_over + tally.fenced + tally.waiting);

// Kill all, look, thaw.
const all = await admin.POST("/v1/kill-all", { body: { scope: "fleet", reason: "smoke", confirm: "dev", wait_seconds: 20 } });
assert.equal(all.data!.stage, "quiesced");
const refused = await alice.POST("/v1/jobs", { params: { header: { "Idempotency-Key": `late-${Date.now()}` } }, body });
assert.equal(refused.response.status, 503);
assert.equal(refused.error!.type, "urn:gavel:problem:fleet-frozen");
const fleet = await admin.GET("/v1/fleet");
const thawed = await admin.POST("/v1/fleet/thaw", { body: { reason: "smoke is over", seen: fleet.data!.gate.head } });
assert.equal(thawed.response.status, 200);
console.log("openapi: the generated client submitted, read, killed, killed all and thawed");
