// How a script and the benchmark talk: one JSON value a line. The script says {"ready": true} when its workers run, and
// answers each request; it ends when its input ends.
import { createInterface } from "node:readline";
import pg from "pg";

/** What the benchmark gives on the command line: the database, and the settings of the queue. */
export const { url, settings } = JSON.parse(process.argv[2]);

export function say(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

/** Answers the requests, each when it is done, until there are no more. */
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

/** The time of the clock that the benchmark reads too, in milliseconds. */
export function now() {
  return performance.timeOrigin + performance.now();
}

/** Connections beside those that a queue has of its own. */
export function newPool(size) {
  return new pg.Pool({ connectionString: url, max: size });
}

/** The work: the same pass for every queue. */
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
