// Protocol between a script and the benchmark: one JSON value per line. The script writes {"ready":
// true} when its workers run, then one response per request. It exits at the end of its input.
import { createInterface } from "node:readline";
import pg from "pg";

/** From the command line: the URL of the database, and the settings of the queue. */
export const { url, settings } = JSON.parse(process.argv[2]);

export function say(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

/** Answers each request when its work is done, until the input ends. */
export async function serve(answer) {
  say({ ready: true });
  const open = new Set();
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const done = Promise.resolve(answer(request))
      .then((value) => say({ id: request.id, ...value }))
      .catch((error) => say({ id: request.id, error: error.message }))
      .finally(() => open.delete(done));
    open.add(done);
  }
  await Promise.all(open);
}

/** The current time in milliseconds, from the clock that the benchmark uses too. */
export function now() {
  return performance.timeOrigin + performance.now();
}

/** Connections in addition to the queue's own. */
export function newPool(size) {
  return new pg.Pool({ connectionString: url, max: size });
}

/** The work: the same resume pass for every queue. */
export function pass(client, job) {
  return job.tick_at
    ? client.query({
        name: "sweep",
        text: "SELECT thaw.resume_pass('sweep', $1, 0, p_tick_at => $2)",
        values: [job.account_id, job.tick_at],
      })
    : client.query({
        name: "signal",
        text: "SELECT thaw.resume_pass('signal', $1, 0, p_signal_id => $2)",
        values: [job.account_id, job.signal_id],
      });
}
