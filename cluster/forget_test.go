package cluster

import (
	"testing"

	"github.com/annals-go/annals/cluster/embedded"
)

func TestForget(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := Forget(t.Context(), conn, "bank"); err != nil {
		t.Errorf("without a directory: %v", err)
	}
	for _, namespace := range []string{"bank", "other"} {
		b, err := newNATSBucket(conn, namespace)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.create(t.Context(), 1, true); err != nil {
			t.Fatal(err)
		}
		if namespace == "other" {
			if err := Forget(t.Context(), conn, "bank"); err != nil {
				t.Fatal(err)
			}
			if there, err := b.exists(t.Context()); !there || err != nil {
				t.Errorf("another namespace's directory is there: %v, %v", there, err)
			}
		}
	}
	b, err := newNATSBucket(conn, "bank")
	if err != nil {
		t.Fatal(err)
	}
	if there, err := b.exists(t.Context()); there || err != nil {
		t.Errorf("the forgotten directory is there: %v, %v", there, err)
	}
}
