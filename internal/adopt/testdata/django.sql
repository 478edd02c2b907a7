-- A platform with Django: the output of "manage.py sqlmigrate" of Django 3.2 for the models
-- Organization, SenderAccount, Campaign, Lead and CampaignLead, then a few rows. Statuses are texts
-- with choices that the database does not know, and a soft delete is a boolean.

--
-- Create model Campaign
--
CREATE TABLE "outreach_campaign" ("id" bigserial NOT NULL PRIMARY KEY, "name" varchar(200) NOT NULL, "status" varchar(20) NOT NULL);
--
-- Create model Organization
--
CREATE TABLE "outreach_organization" ("id" bigserial NOT NULL PRIMARY KEY, "name" varchar(200) NOT NULL);
--
-- Create model SenderAccount
--
CREATE TABLE "outreach_senderaccount" ("id" bigserial NOT NULL PRIMARY KEY, "external_id" varchar(100) NULL UNIQUE, "full_name" varchar(200) NOT NULL, "timezone" varchar(64) NOT NULL, "status" varchar(20) NOT NULL, "organization_id" bigint NOT NULL);
--
-- Create model Lead
--
CREATE TABLE "outreach_lead" ("id" bigserial NOT NULL PRIMARY KEY, "profile_url" varchar(500) NULL, "organization_id" bigint NOT NULL);
--
-- Create model CampaignLead
--
CREATE TABLE "outreach_campaignlead" ("id" bigserial NOT NULL PRIMARY KEY, "status" varchar(20) NOT NULL, "pause_reason" varchar(50) NOT NULL, "current_step" integer NOT NULL CHECK ("current_step" >= 0), "next_run_at" timestamp with time zone NULL, "is_deleted" boolean NOT NULL, "campaign_id" bigint NOT NULL, "lead_id" bigint NOT NULL, "sender_id" bigint NULL);
--
-- Add field organization to campaign
--
ALTER TABLE "outreach_campaign" ADD COLUMN "organization_id" bigint NOT NULL CONSTRAINT "outreach_campaign_organization_id_4f8ed65d_fk_outreach_" REFERENCES "outreach_organization"("id") DEFERRABLE INITIALLY DEFERRED; SET CONSTRAINTS "outreach_campaign_organization_id_4f8ed65d_fk_outreach_" IMMEDIATE;
ALTER TABLE "outreach_senderaccount" ADD CONSTRAINT "outreach_senderaccou_organization_id_58e3fe19_fk_outreach_" FOREIGN KEY ("organization_id") REFERENCES "outreach_organization" ("id") DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX "outreach_senderaccount_external_id_f6f64bc3_like" ON "outreach_senderaccount" ("external_id" varchar_pattern_ops);
CREATE INDEX "outreach_senderaccount_organization_id_58e3fe19" ON "outreach_senderaccount" ("organization_id");
ALTER TABLE "outreach_lead" ADD CONSTRAINT "outreach_lead_organization_id_aa71242c_fk_outreach_" FOREIGN KEY ("organization_id") REFERENCES "outreach_organization" ("id") DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX "outreach_lead_organization_id_aa71242c" ON "outreach_lead" ("organization_id");
ALTER TABLE "outreach_campaignlead" ADD CONSTRAINT "outreach_campaignlea_campaign_id_35967887_fk_outreach_" FOREIGN KEY ("campaign_id") REFERENCES "outreach_campaign" ("id") DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE "outreach_campaignlead" ADD CONSTRAINT "outreach_campaignlead_lead_id_c9f1199d_fk_outreach_lead_id" FOREIGN KEY ("lead_id") REFERENCES "outreach_lead" ("id") DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE "outreach_campaignlead" ADD CONSTRAINT "outreach_campaignlea_sender_id_9401ba34_fk_outreach_" FOREIGN KEY ("sender_id") REFERENCES "outreach_senderaccount" ("id") DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX "outreach_campaignlead_campaign_id_35967887" ON "outreach_campaignlead" ("campaign_id");
CREATE INDEX "outreach_campaignlead_lead_id_c9f1199d" ON "outreach_campaignlead" ("lead_id");
CREATE INDEX "outreach_campaignlead_sender_id_9401ba34" ON "outreach_campaignlead" ("sender_id");
CREATE INDEX "outreach_campaign_organization_id_4f8ed65d" ON "outreach_campaign" ("organization_id");

INSERT INTO outreach_organization (name) VALUES ('Acme'), ('Globex');
INSERT INTO outreach_senderaccount (external_id, full_name, timezone, status, organization_id) VALUES
    ('up_ann', 'Ann Lee', 'Europe/Paris', 'active', 1), ('up_bob', 'Bob Ray', 'UTC', 'logged_out', 1), (NULL, 'New', 'UTC', 'new', 2);
INSERT INTO outreach_campaign (name, status, organization_id) VALUES ('Spring', 'running', 1), ('Fall', 'draft', 2);
INSERT INTO outreach_lead (profile_url, organization_id) SELECT 'https://www.linkedin.com/in/lead-' || i, 1 FROM generate_series(1, 5) AS i;
INSERT INTO outreach_campaignlead (status, pause_reason, current_step, next_run_at, is_deleted, campaign_id, lead_id, sender_id) VALUES
    ('active', '', 2, '2026-01-31 10:00Z', false, 1, 1, 1), ('pending', '', 0, NULL, false, 1, 2, 1),
    ('paused', 'account_lost', 1, '2026-01-30 10:00Z', false, 1, 3, 2), ('paused', 'holiday', 3, NULL, false, 1, 4, 2),
    ('active', '', 1, NULL, true, 1, 5, 1);
