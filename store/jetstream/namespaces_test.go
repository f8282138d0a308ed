package jetstream

import (
	"slices"
	"testing"
)

func TestNamespaces(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{InMemory: true})
	conn := l.cfg.Conn
	got, err := Namespaces(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(got, l.cfg.Namespace) || !slices.IsSorted(got) {
		t.Errorf("namespaces %q, want %s among them, sorted", got, l.cfg.Namespace)
	}
	conn.Close()
	if _, err := Namespaces(t.Context(), conn); err == nil {
		t.Error("namespaces of a closed connection")
	}
}
