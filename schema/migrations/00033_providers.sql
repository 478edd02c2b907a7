-- The words of each provider. The same pass pauses and resumes the accounts of every provider; the
-- tables below say how the accounts are spoken of, and what the provider's own status words mean.
--
-- An account may have a provider that is not listed: it gets the words of the provider ''. To add
-- or to change words, insert or update rows. Nothing has to be restarted.

-- +goose Up

CREATE TABLE thaw.providers (
    provider text PRIMARY KEY CHECK (length(provider) <= 256),
    name     text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    account  text NOT NULL CHECK (account ~ '^[a-z][a-z -]{0,49}$')
);
COMMENT ON TABLE thaw.providers IS 'How sentences name a provider and its accounts. The row '''' is for every provider without a row.';
COMMENT ON COLUMN thaw.providers.provider IS 'The provider of accounts and signals: accounts.provider.';
COMMENT ON COLUMN thaw.providers.account IS 'What an account of the provider is called within a sentence, such as mailbox.';

CREATE TABLE thaw.provider_words (
    provider     text NOT NULL REFERENCES thaw.providers (provider),
    word         text NOT NULL CHECK (length(word) BETWEEN 1 AND 256 AND word !~ '[[:cntrl:]]'),
    means        text NOT NULL CHECK (means IN (
        'connecting', 'connected', 'needs_verification', 'disconnected', 'restricted', 'error', 'removed',
        'reconnected', 'locked', 'unlocked')),
    says         text CHECK (says <> '' AND length(says) <= 200),
    advice       text CHECK (advice LIKE '%.' AND length(advice) <= 400),
    owner_advice text CHECK (owner_advice LIKE '%.' AND length(owner_advice) <= 400),
    PRIMARY KEY (provider, word),
    -- Every sender can rely on Thaw's own words.
    CONSTRAINT provider_words_statuses_mean_themselves CHECK (
        means = word OR word NOT IN (
            'connecting', 'connected', 'needs_verification', 'disconnected', 'restricted', 'error', 'removed',
            'reconnected', 'locked', 'unlocked'))
);
COMMENT ON TABLE thaw.provider_words IS
    'What a word of a provider means, and what Thaw says about an account with this status. A row whose word is a status applies to all words that mean it. A sentence that is null is taken from that row, then from the provider ''''.';
COMMENT ON COLUMN thaw.provider_words.word IS 'A status word as the provider sends it.';
COMMENT ON COLUMN thaw.provider_words.means IS 'An account status, or reconnected, locked or unlocked.';
COMMENT ON COLUMN thaw.provider_words.says IS 'Completes a sentence that begins with the account, such as "is disconnected".';
COMMENT ON COLUMN thaw.provider_words.advice IS 'What gets the account connected again, for those who look at one of its prospects. "It" is the account.';
COMMENT ON COLUMN thaw.provider_words.owner_advice IS 'The same for those who look at the account.';

INSERT INTO thaw.providers (provider, name, account) VALUES
    ('', 'Other', 'account'),
    ('linkedin', 'LinkedIn', 'account'),
    ('email', 'Email', 'mailbox');

INSERT INTO thaw.provider_words (provider, word, means, says, advice, owner_advice) VALUES
    ('', 'connecting', 'connecting', 'is still connecting', 'No action is needed unless it stays in this state.',
        'The login is in progress. If it does not finish, the owner has to log in again.'),
    ('', 'needs_verification', 'needs_verification', 'needs verification', 'Complete the sign-in that the provider asks for.',
        'The owner has to complete the sign-in that the provider asks for.'),
    ('', 'disconnected', 'disconnected', 'is disconnected', 'Reconnect it.',
        'The owner has to reconnect the account in the platform.'),
    ('', 'restricted', 'restricted', 'is restricted by the provider', 'Its owner must resolve this with the provider.',
        'The owner has to resolve the restriction with the provider. Then release the prospects below: they do not resume on their own.'),
    ('', 'error', 'error', 'has a connection error', 'It may recover on its own. If it does not, reconnect it.',
        'The provider reports a connection error. It may recover; otherwise the owner has to reconnect the account.'),
    ('', 'removed', 'removed', 'was removed', 'Reconnect it.',
        'The account was removed at the provider. The owner has to connect it again.'),
    ('email', 'ok', 'connected', NULL, NULL, NULL),
    ('email', 'verification_required', 'needs_verification', NULL, NULL, NULL),
    ('email', 'needs_verification', 'needs_verification', NULL, NULL,
        'The owner has to complete the sign-in that the mail provider asks for.'),
    ('email', 'disconnected', 'disconnected', NULL, 'Sign in to it again.',
        'The owner has to sign in to the mailbox again in the platform.'),
    ('email', 'oauth_expired', 'disconnected', 'is disconnected because its sign-in has expired', NULL,
        'The sign-in of the mailbox has expired. The owner has to sign in again in the platform.'),
    ('email', 'password_rejected', 'disconnected', 'is disconnected because the mail server rejects its password', 'Enter its new password.',
        'The owner has to enter the new password of the mailbox in the platform.'),
    ('email', 'error', 'error', NULL, 'It may recover on its own. If it does not, check its server settings.',
        'The mail server reports an error. It may recover; otherwise the owner has to check the server settings of the mailbox.'),
    ('email', 'smtp_refused', 'error', 'cannot send because the mail server refuses the connection', NULL,
        'The mail server refuses the connection. It may recover; otherwise the owner has to check the server settings of the mailbox.'),
    ('email', 'restricted', 'restricted', 'is blocked by the mail provider', 'Its owner must resolve this with the mail provider.',
        'The owner has to get the mailbox unblocked by the mail provider. Then release the prospects below: they do not resume on their own.'),
    ('email', 'sending_suspended', 'restricted', NULL, NULL, NULL),
    ('email', 'removed', 'removed', NULL, 'Connect it again.',
        'The mailbox was removed. The owner has to connect it again.');

-- What a word of a provider means: an account status, or reconnected, locked or unlocked. Null: the
-- word is unknown. Thaw's own words mean themselves with every provider.
-- +goose StatementBegin
CREATE FUNCTION thaw.meaning_of(p_provider text, p_word text) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_word = ANY (enum_range(NULL::thaw.account_status)::text[]) OR p_word IN ('reconnected', 'locked', 'unlocked') THEN
        RETURN p_word;
    END IF;
    RETURN (SELECT w.means FROM thaw.provider_words AS w WHERE w.provider = p_provider AND w.word = p_word);
END;
$$;
-- +goose StatementEnd

-- How to speak of an account with this provider, status and last error. One row, also for null.
-- +goose StatementBegin
CREATE FUNCTION thaw.words_for(p_provider text, p_status thaw.account_status, p_last_error text)
RETURNS TABLE (provider_name text, account_noun text, says text, advice text, owner_advice text) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(known.name, p_provider, other.name), coalesce(known.account, other.account),
        coalesce(own.says, usual.says, rest.says), coalesce(own.advice, usual.advice, rest.advice),
        coalesce(own.owner_advice, usual.owner_advice, rest.owner_advice)
    FROM thaw.providers AS other
    LEFT JOIN thaw.providers AS known ON known.provider = p_provider
    LEFT JOIN thaw.provider_words AS own
        ON own.provider = p_provider AND own.word = p_last_error AND own.means = p_status::text
    LEFT JOIN thaw.provider_words AS usual ON usual.provider = p_provider AND usual.word = p_status::text
    LEFT JOIN thaw.provider_words AS rest ON rest.provider = other.provider AND rest.word = p_status::text
    WHERE other.provider = '';
END;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION thaw.meaning_of(text, text), thaw.words_for(text, thaw.account_status, text) FROM PUBLIC;

-- +goose Down
DROP FUNCTION thaw.words_for(text, thaw.account_status, text);
DROP FUNCTION thaw.meaning_of(text, text);
DROP TABLE thaw.provider_words, thaw.providers;
