-- A platform with Prisma: the migration that the schema engine of Prisma 8.1 makes for models
-- Workspace, Account, Campaign and CampaignLead, then a few rows. Names are in camel case, statuses
-- are enum types, one of which also says why a lead is paused, and a campaign is only active or
-- not.

-- CreateEnum
CREATE TYPE "AccountState" AS ENUM ('CONNECTING', 'OK', 'CREDENTIALS', 'CHECKPOINT', 'BANNED', 'DELETED');

-- CreateEnum
CREATE TYPE "LeadState" AS ENUM ('QUEUED', 'RUNNING', 'PAUSED_BY_USER', 'PAUSED_ACCOUNT', 'DONE', 'REPLIED', 'FAILED');

-- CreateTable
CREATE TABLE "Workspace" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,

    CONSTRAINT "Workspace_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Account" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "unipileId" TEXT,
    "displayName" TEXT NOT NULL,
    "timeZone" TEXT NOT NULL DEFAULT 'UTC',
    "state" "AccountState" NOT NULL DEFAULT 'CONNECTING',

    CONSTRAINT "Account_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Campaign" (
    "id" TEXT NOT NULL,
    "workspaceId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "active" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "Campaign_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "CampaignLead" (
    "id" TEXT NOT NULL,
    "campaignId" TEXT NOT NULL,
    "accountId" TEXT,
    "profileUrl" TEXT NOT NULL,
    "state" "LeadState" NOT NULL DEFAULT 'QUEUED',
    "stepIndex" INTEGER NOT NULL DEFAULT 0,
    "nextRunAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "CampaignLead_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "Account_unipileId_key" ON "Account"("unipileId");

-- CreateIndex
CREATE INDEX "CampaignLead_campaignId_idx" ON "CampaignLead"("campaignId");

-- AddForeignKey
ALTER TABLE "Account" ADD CONSTRAINT "Account_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Campaign" ADD CONSTRAINT "Campaign_workspaceId_fkey" FOREIGN KEY ("workspaceId") REFERENCES "Workspace"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "CampaignLead" ADD CONSTRAINT "CampaignLead_campaignId_fkey" FOREIGN KEY ("campaignId") REFERENCES "Campaign"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "CampaignLead" ADD CONSTRAINT "CampaignLead_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account"("id") ON DELETE SET NULL ON UPDATE CASCADE;

INSERT INTO "Workspace" VALUES ('ckw1', 'Acme');
INSERT INTO "Account" ("id", "workspaceId", "unipileId", "displayName", "state") VALUES
    ('cka1', 'ckw1', 'up_ann', 'Ann Lee', 'OK'), ('cka2', 'ckw1', 'up_bob', 'Bob Ray', 'CREDENTIALS');
INSERT INTO "Campaign" VALUES ('ckc1', 'ckw1', 'Spring', true), ('ckc2', 'ckw1', 'Fall', false);
INSERT INTO "CampaignLead" ("id", "campaignId", "accountId", "profileUrl", "state", "stepIndex", "nextRunAt") VALUES
    ('ckl1', 'ckc1', 'cka1', 'https://www.linkedin.com/in/lead-1', 'RUNNING', 2, '2026-01-31 10:00'),
    ('ckl2', 'ckc1', 'cka1', 'https://www.linkedin.com/in/lead-2', 'QUEUED', 0, NULL),
    ('ckl3', 'ckc1', 'cka2', 'https://www.linkedin.com/in/lead-3', 'PAUSED_ACCOUNT', 1, NULL),
    ('ckl4', 'ckc1', 'cka2', 'https://www.linkedin.com/in/lead-4', 'PAUSED_BY_USER', 3, NULL),
    ('ckl5', 'ckc1', NULL, 'https://www.linkedin.com/in/lead-5', 'QUEUED', 0, NULL);
