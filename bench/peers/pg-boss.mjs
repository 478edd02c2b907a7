// pg-boss, with LISTEN and NOTIFY.
import { PgBoss } from "pg-boss";
import { now, pass, passPool, serve, settings, url } from "./protocol.mjs";

const queue = "resume";
const boss = new PgBoss({ connectionString: url, useListenNotify: true });
boss.on("error", (error) => console.error(error.message));
await boss.start();
await boss.createQueue(queue, { notify: true });
const pool = passPool(settings.localConcurrency ?? 1);
await boss.work(queue, settings, async (jobs) => {
  for (const job of jobs) await pass(pool, job.data);
});

/** Inserts in a transaction of its own and returns when it began to commit. */
async function insert(jobs) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    await boss.insert(queue, jobs.map((data) => ({ data })), {
      db: { executeSql: (text, values) => client.query(text, values) },
    });
    const committed = now();
    await client.query("COMMIT");
    return committed;
  } finally {
    client.release();
  }
}

await serve(async (request) => {
  if (request.insert) return { at: await insert(request.insert) };
  await boss.send(queue, request.send);
  return { at: now() };
});
await boss.stop({ graceful: false });
await pool.end();
process.exit(0);
