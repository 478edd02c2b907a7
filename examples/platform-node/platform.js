// A small outreach platform with its own tables. It receives the provider's messages about accounts,
// sends what is due, and shows Thaw's answer beside every lead. It has no code for Thaw except the
// check before it sends and the request for the answers: triggers copy its writes to Thaw, and
// `thaw adopt run` writes back what Thaw changes.
//
//   DATABASE_URL  the database with the platform's tables and Thaw's schema
//   THAW_URL      Thaw's pages and API, default http://localhost:8080
//   THAW_TOKEN    a token of Thaw's API; not needed on the host of a Thaw without a password
//   PORT          default 3000
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import pg from "pg";

const { DATABASE_URL, THAW_URL = "http://localhost:8080", THAW_TOKEN, PORT = "3000" } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL });

// The provider reports the state of an account. The platform only writes its own table.
async function providerMessage(body) {
  const { account, state } = JSON.parse(body);
  const { rowCount } = await pool.query(
    "UPDATE app.linkedin_accounts SET state = $2 WHERE unipile_account_id = $1", [account, state]);
  return rowCount === 1 ? 204 : 404;
}

// Sends the next step of up to ten leads that are due, through accounts that may send now. A real
// sender calls the provider here.
async function sendDue() {
  await pool.query(
    `WITH open AS MATERIALIZED (
       SELECT id FROM app.linkedin_accounts
       WHERE state = 'ok' AND thaw.sending_held_by(unipile_account_id, 'linkedin') = '')
     UPDATE app.campaign_leads SET current_step = current_step + 1, next_run_at = now() + interval '1 day'
     WHERE id IN (
       SELECT lead.id FROM app.campaign_leads AS lead
       WHERE lead.state = 'running' AND lead.next_run_at <= now()
         AND lead.sender_account_id IN (SELECT id FROM open)
       ORDER BY lead.id LIMIT 10 FOR NO KEY UPDATE SKIP LOCKED)`);
}

// Thaw's answers for up to 200 prospects, by the platform's ID of the lead.
async function answers(urls) {
  const response = await fetch(`${THAW_URL}/api/v1/prospects/explain`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(THAW_TOKEN && { authorization: `Bearer ${THAW_TOKEN}` }) },
    body: JSON.stringify({ urls }),
  });
  if (!response.ok) throw new Error(`Thaw answered ${response.status}: ${await response.text()}`);
  const { prospects } = await response.json();
  return new Map(prospects.flatMap(({ explanations }) => explanations)
    .map((explanation) => [explanation.external_id, explanation.sentence]));
}

const escape = (value) => String(value ?? "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// The page: every lead, and why it does not continue.
async function page() {
  const { rows } = await pool.query(
    `SELECT lead.id, person.name, person.linkedin_url AS url, lead.state, lead.current_step AS step
     FROM app.campaign_leads AS lead JOIN app.leads AS person ON person.id = lead.lead_id
     ORDER BY person.name LIMIT 200`);
  const sentences = await answers(rows.map((row) => row.url));
  const lines = rows.map(({ id, name, state, step }) =>
    `<tr><td>${escape(name)}<td>${escape(state)}<td>${step}<td>${escape(sentences.get(id))}\n`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Leads</title>
<h1>Leads</h1><table><tr><th>Lead<th>State<th>Step<th>Thaw\n${lines.join("")}</table>`;
}

const server = createServer(async (request, response) => {
  try {
    if (request.method === "POST" && request.url === "/provider") {
      response.writeHead(await providerMessage(await text(request))).end();
    } else if (request.method === "GET" && request.url === "/") {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(await page());
    } else {
      response.writeHead(404).end();
    }
  } catch (error) {
    console.error(error.message);
    response.writeHead(500).end();
  }
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
setInterval(() => sendDue().catch((error) => console.error(error.message)), 1000);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
