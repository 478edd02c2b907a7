package providersim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/providersim"
	"github.com/thawline/thaw/internal/testdb"
)

func serve(t *testing.T, c providersim.Config) (*providersim.Server, string) {
	t.Helper()
	c.Logger = testdb.Logger(t)
	sim := providersim.New(c)
	t.Cleanup(sim.Close)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	return sim, server.URL
}

// post returns the status and the body of an answer, or 0 if there was none.
func post(t *testing.T, url, body string) (int, map[string]any) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	var got map[string]any
	_ = json.NewDecoder(response.Body).Decode(&got)
	return response.StatusCode, got
}

func invite(t *testing.T, url, account, to string) (int, map[string]any) {
	t.Helper()
	return post(t, url+"/api/v1/users/invite", fmt.Sprintf(`{"account_id": %q, "provider_id": %q}`, account, to))
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	sim, url := serve(t, providersim.Config{})
	status, got := invite(t, url, "ann", "p1")
	require.Equal(t, http.StatusCreated, status)
	require.NotEmpty(t, got["invitation_id"])
	status, got = invite(t, url, "ann", "p1")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, "errors/already_invited_recently", got["type"])

	var form bytes.Buffer
	fields := multipart.NewWriter(&form)
	for name, value := range map[string]string{"account_id": "ann", "attendees_ids": "p1", "text": "hello"} {
		require.NoError(t, fields.WriteField(name, value))
	}
	require.NoError(t, fields.Close())
	response, err := http.Post(url+"/api/v1/chats", fields.FormDataContentType(), &form)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusCreated, response.StatusCode)

	status, _ = post(t, url+"/api/v1/users/invite", `{"account_id": "ann"}`)
	require.Equal(t, http.StatusBadRequest, status)
	status, _ = post(t, url+"/api/v1/users/invite", `[`)
	require.Equal(t, http.StatusBadRequest, status)

	var seen []string
	for _, e := range sim.Log(0) {
		seen = append(seen, fmt.Sprintf("%d %s %s %d %d %v", e.N, e.Kind, e.To, e.Attempt, e.Status, e.Delivered))
	}
	require.Equal(t, []string{"1 invite p1 1 201 true", "2 invite p1 2 422 false", "3 message p1 1 201 true"}, seen)

	response, err = http.Get(url + "/log?after=2")
	require.NoError(t, err)
	defer response.Body.Close()
	lines, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(lines, []byte("\n")))
	require.Contains(t, string(lines), `"kind":"message"`)
}

// Every fault can be requested, and its answer is what the provider's documentation says.
func TestRequestedFaults(t *testing.T) {
	t.Parallel()
	sim, url := serve(t, providersim.Config{})
	for i, name := range providersim.FaultNames() {
		if name == "slow" {
			continue // TestSlowAnswers
		}
		account := "of " + name
		status, _ := post(t, url+"/faults", fmt.Sprintf(`{"fault": %q, "account_id": %q, "kind": "invite"}`, name, account))
		require.Equal(t, http.StatusNoContent, status)
		status, body := invite(t, url, account, "p1")
		entry := sim.Log(0)[len(sim.Log(0))-1]
		require.Equal(t, name, entry.Fault, "request %d", i)
		require.Equal(t, entry.Status, status, name)
		if entry.Code != "" {
			require.Equal(t, "errors/"+entry.Code, body["type"])
		}
		require.Empty(t, body["invitation_id"], name)
	}
	status, _ := post(t, url+"/faults", `{"fault": "earthquake"}`)
	require.Equal(t, http.StatusBadRequest, status)
}

// A slow answer is that of the request, which was done when it came. A client that does not wait
// gets none.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	sim, url := serve(t, providersim.Config{})
	status, _ := post(t, url+"/faults", `{"fault": "slow", "account_id": "ann", "seconds": 0.01, "count": 2}`)
	require.Equal(t, http.StatusNoContent, status)
	status, body := invite(t, url, "ann", "p1")
	require.Equal(t, http.StatusCreated, status)
	require.Equal(t, sim.Log(0)[0].ID, body["invitation_id"])
	status, _ = invite(t, url, "ann", "p1")
	require.Equal(t, http.StatusUnprocessableEntity, status, "it is a second invite, answered late")
	require.Equal(t, "slow", sim.Log(0)[1].Fault)

	status, _ = post(t, url+"/faults", `{"fault": "slow", "account_id": "bob", "seconds": 300}`)
	require.Equal(t, http.StatusNoContent, status)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/users/invite", strings.NewReader(`{"account_id": "bob", "provider_id": "p1"}`))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	failed := make(chan error)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			err = errors.Join(errors.New("an answer: "+response.Status), response.Body.Close())
		}
		failed <- err
	}()
	require.Eventually(t, func() bool { return len(sim.Log(2)) == 1 }, 30*time.Second, time.Millisecond)
	select {
	case err := <-failed:
		require.NoError(t, err, "before the client gave up")
	default:
	}
	giveUp()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.True(t, sim.Log(2)[0].Delivered)
	status, _ = invite(t, url, "bob", "p1")
	require.Equal(t, http.StatusUnprocessableEntity, status, "it was delivered")

	for _, refused := range []string{`{"fault": "slow", "seconds": 301}`, `{"fault": "slow", "seconds": -1}`, `{"fault": "reset", "seconds": 5}`} {
		status, _ = post(t, url+"/faults", refused)
		require.Equal(t, http.StatusBadRequest, status, refused)
	}
}

// A person who connects again as a new account gets no second invite to the same prospect.
func TestSecondInviteOfPerson(t *testing.T) {
	t.Parallel()
	_, url := serve(t, providersim.Config{PersonOf: func(account string) string { return strings.TrimSuffix(account, "-new") }})
	status, _ := invite(t, url, "ann", "p1")
	require.Equal(t, http.StatusCreated, status)
	status, body := invite(t, url, "ann-new", "p1")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, "errors/already_invited_recently", body["type"])
	status, _ = invite(t, url, "bob", "p1")
	require.Equal(t, http.StatusCreated, status)
}

// An account that meets a checkpoint stays disconnected until it is set to OK, and its webhook says
// both.
func TestCheckpointSendsWebhook(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var messages []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ AccountStatus map[string]string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		defer mu.Unlock()
		messages = append(messages, r.Header.Get("Unipile-Auth")+" "+body.AccountStatus["account_id"]+" "+body.AccountStatus["message"])
		if len(messages) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer receiver.Close()
	sim, url := serve(t, providersim.Config{StatusURL: receiver.URL, StatusSecret: "s3cret"})
	require.NoError(t, sim.Fault(providersim.Requested{Fault: "checkpoint"}))
	status, _ := invite(t, url, "ann", "p1")
	require.Equal(t, http.StatusUnauthorized, status)
	status, body := invite(t, url, "ann", "p2")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, "errors/disconnected_account", body["type"])
	got := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), messages...)
	}
	require.Eventually(t, func() bool { return len(got()) == 2 }, 10*time.Second, 10*time.Millisecond, "the webhook is repeated until the receiver takes it")
	status, _ = post(t, url+"/accounts/ann", `{"status": "OK"}`)
	require.Equal(t, http.StatusNoContent, status)
	status, _ = invite(t, url, "ann", "p2")
	require.Equal(t, http.StatusCreated, status)
	require.Eventually(t, func() bool { return len(got()) == 3 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, []string{"s3cret ann CREDENTIALS", "s3cret ann CREDENTIALS", "s3cret ann OK"}, got())
	status, _ = post(t, url+"/accounts/ann", `{"status": "GONE"}`)
	require.Equal(t, http.StatusBadRequest, status)
}

// The same requests have the same answers, in whatever order and however many at a time.
func TestSameSeedSameAnswers(t *testing.T) {
	t.Parallel()
	rates, err := providersim.ParseRates("reset=0.2,limit_exceeded=0.2, provider_error=0.1,no_id=0.1")
	require.NoError(t, err)
	answers := func(seed uint64, atOnce int) map[string]string {
		sim, url := serve(t, providersim.Config{Seed: seed, Rates: rates, Latency: time.Millisecond})
		var group sync.WaitGroup
		for worker := range atOnce {
			group.Go(func() {
				for i := worker; i < 60; i += atOnce {
					invite(t, url, "ann", fmt.Sprint("p", i))
				}
			})
		}
		group.Wait()
		found := map[string]string{}
		for _, e := range sim.Log(0) {
			found[fmt.Sprint(e.To, " ", e.Attempt)] = fmt.Sprint(e.Fault, " ", e.Status, " ", e.Delivered, " ", e.ID)
		}
		return found
	}
	first := answers(7, 1)
	require.Equal(t, first, answers(7, 8))
	require.NotEqual(t, first, answers(8, 1))
}

func TestRatesAreChecked(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"quake=1": "the fault \"quake\" is unknown", "reset=2": "use a number from 0 to 1", "reset": "use a number from 0 to 1",
		"reset=NaN": "use a number from 0 to 1", "reset=0.6,no_id=0.6": "add up to 1.2",
	} {
		_, err := providersim.ParseRates(text)
		require.ErrorContains(t, err, says, text)
	}
}

// A rejected API key is an answer to the sender. Nothing is delivered, and the account stays
// connected.
func TestRejectedKeyLeavesAccount(t *testing.T) {
	t.Parallel()
	sim, url := serve(t, providersim.Config{})
	for fault, want := range map[string]int{"missing_credentials": http.StatusUnauthorized, "insufficient_permissions": http.StatusForbidden} {
		require.NoError(t, sim.Fault(providersim.Requested{Fault: fault, Account: fault}))
		status, body := invite(t, url, fault, "p1")
		require.Equal(t, want, status)
		require.Equal(t, "errors/"+fault, body["type"])
		status, _ = invite(t, url, fault, "p1")
		require.Equal(t, http.StatusCreated, status)
	}
}

// An invite that was withdrawn may be repeated after three weeks, in any spelling of the recipient.
func TestWithdrawnInvites(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	sim, url := serve(t, providersim.Config{Now: func() time.Time { return now }, ProspectOf: strings.ToLower})
	_, body := invite(t, url, "ann", "p1")
	_, second := invite(t, url, "ann", "P1")
	require.Equal(t, "errors/already_invited_recently", second["type"])
	withdraw := func() int {
		request, err := http.NewRequest(http.MethodDelete, fmt.Sprint(url, "/api/v1/users/invite/sent/", body["invitation_id"]), nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusOK, withdraw())
	require.Equal(t, http.StatusNotFound, withdraw())
	require.Equal(t, now, *sim.Log(0)[0].WithdrawnAt)
	now = now.Add(21*24*time.Hour - time.Second)
	_, second = invite(t, url, "ann", "P1")
	require.Equal(t, "errors/cannot_resend_yet", second["type"])
	now = now.Add(time.Second)
	status, _ := invite(t, url, "ann", "P1")
	require.Equal(t, http.StatusCreated, status)
}

// A fault of invites is not drawn for other kinds.
func TestFaultsOfOneKind(t *testing.T) {
	t.Parallel()
	rates, err := providersim.ParseRates("already_connected=1")
	require.NoError(t, err)
	_, url := serve(t, providersim.Config{Rates: rates})
	status, _ := invite(t, url, "ann", "p1")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	status, _ = post(t, url+"/api/v1/chats", `{"account_id": "ann", "attendees_ids": ["p1"], "text": "hello"}`)
	require.Equal(t, http.StatusCreated, status)
}
