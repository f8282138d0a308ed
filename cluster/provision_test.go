package cluster

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/cluster/embedded"
)

// A directory that was provisioned is the one that a node finds; to provision it
// again changes nothing.
func TestProvisionMakesTheDirectoryOnce(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := OpenAdmin(t.Context(), AdminConfig{Conn: nc, Namespace: "bank"}); !errors.Is(err, ErrNoCluster) {
		t.Fatalf("error %v before, want ErrNoCluster", err)
	}
	var first uint64
	for range 2 {
		if err := Provision(t.Context(), nc, "bank", 1, true); err != nil {
			t.Fatal(err)
		}
		epoch, err := FirstEpoch(t.Context(), nc, "bank")
		if err != nil || epoch == 0 || first != 0 && epoch != first {
			t.Fatalf("first epoch %d, %v; was %d", epoch, err, first)
		}
		first = epoch
	}
	nc.Close()
	if err := Provision(t.Context(), nc, "bank", 1, true); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v without a connection, want ErrUnavailable", err)
	}
}
