// graphile-worker. Jobs are inserted by SQL with graphile_worker.add_job.
import { Logger, run, WorkerPreset } from "graphile-worker";
import { pass, serve, settings, url } from "./protocol.mjs";

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
    resume: (job, helpers) => helpers.withPgClient((client) => pass(client, job)),
  },
});
await serve(() => ({}));
await runner.stop();
