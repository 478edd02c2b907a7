// pg-boss, with LISTEN and NOTIFY.
import { PgBoss } from "pg-boss";
import { now, pass, newPool, serve, settings, url } from "./protocol.mjs";

const queue = "resume";
const boss = new PgBoss({ connectionString: url, useListenNotify: true });
boss.on("error", (error) => console.error(error.message));
await boss.start();
await boss.createQueue(queue, { notify: true });
const workers = newPool(settings.localConcurrency ?? 1);
const senders = newPool(8); // for callers, which do not wait for the passes
await boss.work(queue, settings, async (jobs) => {
  for (const job of jobs) await pass(workers, job.data);
});

/** Runs work in its own transaction. Returns when the commit began and when it was done. */
async function transact(work) {
  const client = await senders.connect();
  try {
    await client.query("BEGIN");
    await work(client, { executeSql: (text, values) => client.query(text, values) });
    const begun = now();
    await client.query("COMMIT");
    return { begun, done: now() };
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

/** Inserts jobs and returns when their commit began. */
async function insert(jobs) {
  const { begun } = await transact((_, db) => boss.insert(queue, jobs.map((data) => ({ data })), { db }));
  return begun;
}

/** Receives a signal, sends the resulting job, and returns when both were committed. */
async function signal(account) {
  const { done } = await transact(async (client, db) => {
    const { rows } = await client.query({
      name: "signal-by-call",
      text: "SELECT thaw.signal('linkedin', $1, 'connected'), current_setting('bench.job')::json AS job",
      values: [account],
    });
    await boss.send(queue, rows[0].job, { db });
  });
  return done;
}

await serve(async (request) => ({ at: await (request.insert ? insert(request.insert) : signal(request.signal)) }));
await boss.stop({ graceful: false });
await workers.end();
await senders.end();
process.exit(0);
