package web

import (
	"testing"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"127.0.0.1:4222": "127.0.0.1:4222",
		":0":             "127.0.0.1:0", // loopback: nothing asks for credentials
		"4222":           "127.0.0.1:4222",
		"0.0.0.0:4222":   "0.0.0.0:4222",
		"[::1]:4222":     "[::1]:4222",
	} {
		got, err := ParseAddress("nats", given, true)
		if err != nil || got.String() != want {
			t.Errorf("%q is %v (%v), want %s", given, got, err, want)
		}
	}
	for _, bad := range []string{"", "host", "host:", "host:http", "host:-1", "host:65536", "::1:4222"} {
		if got, err := ParseAddress("nats", bad, true); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func TestPublicAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "localhost": false,
		"0.0.0.0": true, "10.1.2.3": true, "example.org": true, "::": true,
	} {
		if got := (Address{Host: host}).Public(); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}
