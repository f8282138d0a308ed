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
		first, err := FirstEpoch(t.Context(), conn, namespace)
		if err != nil {
			t.Fatal(err)
		}
		if revision, err := b.write(t.Context(), "pin.1", []byte("a"), 0, 0); err != nil || first == 0 || revision < first {
			t.Errorf("the first revision of %s is %d, %v; its epochs begin at %d", namespace, revision, err, first)
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
	if first, err := FirstEpoch(t.Context(), conn, "bank"); first != 0 || err != nil {
		t.Errorf("the forgotten directory begins at %d, %v", first, err)
	}
}
