package node

import (
	"testing"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"nats://127.0.0.1:4222":           "nats://127.0.0.1:4222",
		"nats://joe:secret@host:4222":     "nats://…@host:4222",
		"joe:s@cret@host:4222":            "…@host:4222",
		"nats://a:1,tls://token@b:2":      "nats://a:1,tls://…@b:2",
		"nats://token@one,nats://two:333": "nats://…@one,nats://two:333",
	} {
		if got := redact(given); got != want {
			t.Errorf("%s is told as %s, want %s", given, got, want)
		}
	}
}
