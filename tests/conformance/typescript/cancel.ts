// Registers a run, cancels it twice and prints its id, by the generated client alone. That it compiles is half the test:
// every field below is one that the document promises.
import { strict as assert } from "node:assert";
import { cancelTestRun, registerTestRun, showTestRun, type CancelTestRunFailureResponse } from "./client";
import { client } from "./client/client.gen";

async function main(): Promise<void> {
  const key = process.env["ESTOP_KEY"];
  client.setConfig({ baseUrl: process.argv[2]!, auth: () => key });

  const registered = await registerTestRun({ body: { environment: "staging", build: { branch: "main" } } });
  assert.equal(registered.response?.status, 200);
  if (!registered.data) throw new Error("no run");
  const id: number = registered.data.data.test_run.id;

  const first = await cancelTestRun({ path: { id }, body: { reason: "wrong branch" } });
  assert.equal(first.response?.status, 200);
  if (!first.data) throw new Error("no message");
  const message: string = first.data.message;
  assert.match(message, /is cancelled/);

  const second = await cancelTestRun({ path: { id } });
  assert.equal(second.response?.status, 412);
  if (!second.error || !("message" in second.error)) throw new Error("no refusal");
  const refusal: CancelTestRunFailureResponse = second.error;
  assert.match(refusal.message, /is over/);

  const shown = await showTestRun({ path: { id }, throwOnError: true });
  assert.equal(shown.data.data.test_run.cancel?.reason, "wrong branch");
  console.log(id);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
