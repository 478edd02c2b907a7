-- A platform with Rails: the structure.sql of ActiveRecord 6.1 for organizations,
-- linkedin_accounts, campaigns, leads and campaign_leads, without its settings of the session, then
-- a few rows. Ids are UUIDs, the statuses of accounts and leads are integers (enum), times have no
-- zone, and a soft delete is a time.

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

--
-- Name: pgcrypto; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;

--
-- Name: EXTENSION pgcrypto; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON EXTENSION pgcrypto IS 'cryptographic functions';

--
-- Name: campaign_leads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.campaign_leads (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    campaign_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    linkedin_account_id uuid,
    status integer DEFAULT 0 NOT NULL,
    pause_reason character varying,
    current_step integer DEFAULT 0 NOT NULL,
    next_run_at timestamp without time zone,
    paused_at timestamp without time zone,
    created_at timestamp(6) without time zone NOT NULL,
    updated_at timestamp(6) without time zone NOT NULL
);

--
-- Name: campaigns; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.campaigns (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    organization_id uuid NOT NULL,
    title character varying NOT NULL,
    status character varying DEFAULT 'draft'::character varying NOT NULL,
    created_at timestamp(6) without time zone NOT NULL,
    updated_at timestamp(6) without time zone NOT NULL
);

--
-- Name: leads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.leads (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    organization_id uuid NOT NULL,
    linkedin_url character varying,
    created_at timestamp(6) without time zone NOT NULL,
    updated_at timestamp(6) without time zone NOT NULL
);

--
-- Name: linkedin_accounts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.linkedin_accounts (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    organization_id uuid NOT NULL,
    unipile_id character varying,
    member_urn character varying,
    full_name character varying NOT NULL,
    time_zone character varying DEFAULT 'UTC'::character varying NOT NULL,
    status integer DEFAULT 0 NOT NULL,
    discarded_at timestamp without time zone,
    created_at timestamp(6) without time zone NOT NULL,
    updated_at timestamp(6) without time zone NOT NULL
);

--
-- Name: organizations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.organizations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name character varying NOT NULL,
    created_at timestamp(6) without time zone NOT NULL,
    updated_at timestamp(6) without time zone NOT NULL
);

--
-- Name: campaign_leads campaign_leads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.campaign_leads
    ADD CONSTRAINT campaign_leads_pkey PRIMARY KEY (id);

--
-- Name: campaigns campaigns_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (id);

--
-- Name: leads leads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.leads
    ADD CONSTRAINT leads_pkey PRIMARY KEY (id);

--
-- Name: linkedin_accounts linkedin_accounts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.linkedin_accounts
    ADD CONSTRAINT linkedin_accounts_pkey PRIMARY KEY (id);

--
-- Name: organizations organizations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (id);

--
-- Name: index_campaign_leads_on_campaign_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX index_campaign_leads_on_campaign_id ON public.campaign_leads USING btree (campaign_id);

--
-- Name: index_campaign_leads_on_lead_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX index_campaign_leads_on_lead_id ON public.campaign_leads USING btree (lead_id);

--
-- Name: index_campaign_leads_on_linkedin_account_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX index_campaign_leads_on_linkedin_account_id ON public.campaign_leads USING btree (linkedin_account_id);

--
-- Name: index_campaigns_on_organization_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX index_campaigns_on_organization_id ON public.campaigns USING btree (organization_id);

--
-- Name: index_leads_on_organization_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX index_leads_on_organization_id ON public.leads USING btree (organization_id);

--
-- Name: index_linkedin_accounts_on_organization_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX index_linkedin_accounts_on_organization_id ON public.linkedin_accounts USING btree (organization_id);

--
-- Name: index_linkedin_accounts_on_unipile_id; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX index_linkedin_accounts_on_unipile_id ON public.linkedin_accounts USING btree (unipile_id);

--
-- Name: campaign_leads fk_rails_317d0ec408; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.campaign_leads
    ADD CONSTRAINT fk_rails_317d0ec408 FOREIGN KEY (linkedin_account_id) REFERENCES public.linkedin_accounts(id);

--
-- Name: linkedin_accounts fk_rails_429333c8fe; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.linkedin_accounts
    ADD CONSTRAINT fk_rails_429333c8fe FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

--
-- Name: leads fk_rails_484c545036; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.leads
    ADD CONSTRAINT fk_rails_484c545036 FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

--
-- Name: campaigns fk_rails_a74bb03c49; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT fk_rails_a74bb03c49 FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

--
-- Name: campaign_leads fk_rails_d64596271e; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.campaign_leads
    ADD CONSTRAINT fk_rails_d64596271e FOREIGN KEY (campaign_id) REFERENCES public.campaigns(id);

--
-- Name: campaign_leads fk_rails_e4376e6334; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.campaign_leads
    ADD CONSTRAINT fk_rails_e4376e6334 FOREIGN KEY (lead_id) REFERENCES public.leads(id);

--
-- PostgreSQL database dump complete
--

INSERT INTO organizations VALUES ('00000000-0000-0000-0000-000000000001', 'Acme', now(), now());
INSERT INTO linkedin_accounts (id, organization_id, unipile_id, full_name, status, discarded_at, created_at, updated_at) VALUES
    ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000001', 'up_ann', 'Ann Lee', 1, NULL, now(), now()),
    ('00000000-0000-0000-0000-0000000000a2', '00000000-0000-0000-0000-000000000001', 'up_bob', 'Bob Ray', 2, NULL, now(), now()),
    ('00000000-0000-0000-0000-0000000000a3', '00000000-0000-0000-0000-000000000001', 'up_old', 'Old', 1, now(), now(), now());
INSERT INTO campaigns (id, organization_id, title, status, created_at, updated_at) VALUES
    ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-000000000001', 'Spring', 'running', now(), now());
INSERT INTO leads (id, organization_id, linkedin_url, created_at, updated_at)
    SELECT ('00000000-0000-0000-0000-0000000001' || lpad(i::text, 2, '0'))::uuid, '00000000-0000-0000-0000-000000000001', 'https://www.linkedin.com/in/lead-' || i, now(), now()
    FROM generate_series(1, 4) AS i;
INSERT INTO campaign_leads (id, campaign_id, lead_id, linkedin_account_id, status, pause_reason, current_step, next_run_at, created_at, updated_at)
    SELECT ('00000000-0000-0000-0000-0000000002' || lpad(v.i::text, 2, '0'))::uuid, '00000000-0000-0000-0000-0000000000c1',
        ('00000000-0000-0000-0000-0000000001' || lpad(v.i::text, 2, '0'))::uuid, ('00000000-0000-0000-0000-0000000000' || v.account)::uuid, v.status, v.reason, v.step, v.next, now(), now()
    FROM (VALUES (1, 'a1', 1, NULL, 2, '2026-01-31 10:00'::timestamp), (2, 'a1', 0, NULL, 0, NULL), (3, 'a2', 2, 'account_disconnected', 1, '2026-01-30 10:00'), (4, 'a2', 2, 'holiday', 3, NULL))
        AS v (i, account, status, reason, step, next);
