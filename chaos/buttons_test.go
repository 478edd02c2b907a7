package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An operator clicks "retry" and "cancel" in River UI during heals and sweeps. Nothing is resumed
// twice, and the next heal and the next sweep cover cancelled work.
func TestButtons(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	s.startOfTick()
	healed := s.fleet(1, scale(5000, 102_000))[0]
	signaled := s.disconnectedFleet(scale(4, 10), 150)
	c := s.replicas(2, "--jitter=1m")
	c.settled()

	for round := range scale(2, 20) {
		button := []string{"cancel", "retry"}[round%2]
		c.clickInHeal(healed, button)
		c.clickInSweep(signaled, button)
		for _, id := range append(slices.Clone(signaled), healed) {
			require.Equal(s, 200, s.signal(c.any(), account(id), "disconnected", delivery{}))
		}
		s.until(2*time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE status = 'active')")
		s.connect(healed)
	}
	s.connect(signaled...)
	s.exec("SELECT thaw.heal(w.key, cap => 1000000) FROM thaw.workspaces AS w")
	s.active(time.Minute)
	s.checker(s.somePaused)
}

// clickInHeal heals an account and clicks on its job in the middle of a batch.
func (c *replicas) clickInHeal(healed int64, button string) {
	c.Helper()
	const running = "SELECT j.id FROM thaw.river_job AS j WHERE j.kind = 'heal' AND j.state = 'running'"
	c.at.arm("HealBatch before UPDATE heals")
	c.exec("SELECT thaw.heal(w.key, a.provider_account_id, 1000000) FROM thaw.accounts AS a JOIN thaw.workspaces AS w ON w.id = a.workspace_id WHERE a.id = $1", healed)
	name, _ := c.at.stopped(30 * time.Second)
	require.NotEmpty(c, name)
	ids := column[int64](c.scenario, running)
	require.Len(c, ids, 1)
	c.click(button, ids)
	if button == "cancel" {
		c.until(30*time.Second, "SELECT state = 'cancelled' FROM thaw.river_job WHERE id = $1", ids[0])
		// The server still runs the batch when the next attempt begins.
		c.click("retry", ids)
		c.until(30*time.Second, "SELECT state = 'running' FROM thaw.river_job WHERE id = $1", ids[0])
	}
	c.at.release()
	c.until(2*time.Minute, "SELECT NOT EXISTS (SELECT FROM thaw.heals WHERE status = 'running')")
	c.click("retry", ids) // a finished heal
	c.settled()
	require.Zero(c, value[int](c.scenario, "SELECT count(*) FROM thaw.enrollments WHERE account_id = $1 AND status <> 'active'", healed))
}

// clickInSweep makes a tick resume accounts. When one pass has resumed its rows and has not
// committed, it clicks on every running pass.
func (c *replicas) clickInSweep(signaled []int64, button string) {
	c.Helper()
	c.connect(signaled...)
	c.at.arm("ResumeForSweep after UPDATE enrollments")
	c.advance(15 * time.Minute)
	c.exec("SELECT thaw.sweep()")
	name, _ := c.at.stopped(30 * time.Second)
	require.NotEmpty(c, name)
	ids := column[int64](c.scenario, "SELECT j.id FROM thaw.river_job AS j WHERE j.kind = 'resume_account' AND j.state = 'running'")
	require.NotEmpty(c, ids)
	c.click(button, ids)
	if button == "cancel" {
		c.until(30*time.Second, "SELECT NOT EXISTS (SELECT FROM thaw.river_job WHERE id = ANY ($1) AND state = 'running')", ids)
		c.click("retry", ids)
	}
	c.at.release()
	c.settled()
	c.click("retry", ids)
	c.settled()
	require.Zero(c, value[int](c.scenario, "SELECT count(*) FROM thaw.enrollments WHERE account_id = ANY ($1) AND status <> 'active'", signaled))
}

// click does what River UI's buttons do: "retry" or "cancel".
func (c *replicas) click(button string, ids []int64) {
	c.Helper()
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	body, err := json.Marshal(map[string][]string{"ids": texts})
	require.NoError(c, err)
	response, err := web.Post(fmt.Sprintf("%s/jobs/api/jobs/%s", c.any().base, button), "application/json", bytes.NewReader(body))
	require.NoError(c, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(c, err)
	require.Equal(c, http.StatusOK, response.StatusCode, "%s: %s", button, answer)
	c.faultN("clicks on "+button, len(ids))
}
