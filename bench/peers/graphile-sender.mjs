// graphile-worker with the limits of token-bucket.sql: the planner queues leads, and a task takes a
// token, sends, and records it.
import { Logger, run, WorkerPreset } from "graphile-worker";
import { newPool, now, serve, settings, url } from "./protocol.mjs";

const planner = newPool(1);
let sent, queued, finish; // of the present request
const quiet = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});
const runner = await run({
  preset: {
    extends: [WorkerPreset],
    worker: { connectionString: url, logger: quiet, crontabFile: "none", ...settings },
  },
  parsedCronItems: [],
  noHandleSignals: true,
  taskList: {
    send: (job, helpers) =>
      helpers.withPgClient(async (client) => {
        const { rows } = await client.query({
          name: "token",
          text: "SELECT bucket.take_token($1) AS taken",
          values: [job.account],
        });
        if (!rows[0].taken) throw new Error("no token"); // graphile-worker tries again later
        await client.query({ name: "record", text: "SELECT bucket.record($1, 'ref')", values: [job.lead] });
        if (++sent >= queued) finish();
      }),
  },
});

/** Queues all leads of the accounts from first to last, and returns when they are sent. */
async function send(first, last) {
  sent = 0;
  queued = Infinity;
  const done = new Promise((resolve) => (finish = resolve));
  const { rows } = await planner.query(
    `SELECT count(*)::integer AS queued FROM graphile_worker.add_jobs((
       SELECT array_agg(ROW('send', json_build_object('lead', l.id, 'account', l.account_id), NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec)
       FROM bucket.leads AS l WHERE l.account_id BETWEEN $1 AND $2 AND bucket.allow(l.id)))`,
    [first, last],
  );
  queued = rows[0].queued;
  if (sent < queued) await done;
}

await serve(async (request) => {
  await send(request.first, request.last);
  return { at: now() };
});
await runner.stop();
await planner.end();
