package main

import (
	"strings"
	"testing"

	"github.com/annals-go/annals/cmd/node"
)

// The stock binary has the operator commands and nothing of an application.
func TestHelp(t *testing.T) {
	t.Parallel()
	var out, talk strings.Builder
	code := node.Run(t.Context(), app, node.Streams{In: strings.NewReader(""), Out: &out, Err: &talk}, "--help")
	if code != 0 || talk.String() != "" {
		t.Fatalf("exit code %d, talk %q", code, talk.String())
	}
	for _, command := range []string{"aggregate", "cluster", "command", "dev", "event", "generate", "node", "projection", "view", "version"} {
		if !strings.Contains(out.String(), "\n  "+command+" ") {
			t.Errorf("no command %q in:\n%s", command, out.String())
		}
	}
}

// Without a server at hand it says so, in three lines, and how to go on.
func TestNoServer(t *testing.T) {
	t.Parallel()
	var out, talk strings.Builder
	code := node.Run(t.Context(), app, node.Streams{In: strings.NewReader(""), Out: &out, Err: &talk},
		"--server", "nats://127.0.0.1:1", "aggregate", "get", "account", "ann")
	if code != 5 || out.String() != "" {
		t.Errorf("exit code %d, data %q", code, out.String())
	}
	if lines := strings.Count(talk.String(), "\n"); lines != 3 || !strings.Contains(talk.String(), "[NATS_UNREACHABLE]") {
		t.Errorf("talk is %d lines: %s", lines, talk.String())
	}
}
