// Does what "prisma migrate dev" and "prisma migrate deploy" do, with Prisma's schema engine as the
// npm package has it: creates the migration of schema.prisma, and applies it to the database of the
// environment. The command prisma itself downloads its engine from another host.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";
import * as engines from "@prisma/schema-engine-wasm/schema_engine_bg";

const wasm = createRequire(import.meta.url).resolve("@prisma/schema-engine-wasm/schema_engine_bg").replace(/\.js$/, ".wasm");
const { instance } = await WebAssembly.instantiate(await readFile(wasm), { "./schema_engine_bg.js": engines });
engines.__wbg_set_wasm(instance.exports);
instance.exports.__wbindgen_start();

const schema = { path: "schema.prisma", content: await readFile("schema.prisma", "utf8") };
const filters = { externalTables: [], externalEnums: [] };
const factory = bindMigrationAwareSqlAdapterFactory(new PrismaPg({}));
const engine = await engines.SchemaEngine.new({ datamodels: [[schema.path, schema.content]] }, () => {}, factory);
const { stdout: migration } = await engine.diff({
  from: { tag: "empty" }, to: { tag: "schemaDatamodel", files: [schema] }, script: true, exitCode: null, filters,
});
await engine.applyMigrations({
  migrationsList: {
    baseDir: "migrations",
    lockfile: { path: "migration_lock.toml", content: 'provider = "postgresql"\n' },
    shadowDbInitScript: "",
    migrationDirectories: [
      { path: "20260101000000_init", migrationFile: { path: "migration.sql", content: { tag: "ok", value: migration } } },
    ],
  },
  filters,
});
console.log(engines.version());
process.exit(0);
