package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDurationsInLogsHaveAUnit(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"json": `"took":"1.5s"`, "text": "took=1.5s"} {
		var b bytes.Buffer
		newLogger(format, "info", &b).Info("swept", "took", 1500*time.Millisecond)
		require.Contains(t, b.String(), want)
	}
}
