package cluster

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/cluster/embedded"
)

// Who serves alone is known in its own namespace, and nowhere else.
func TestWhoServesAloneIsKnown(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	one, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(one.Close)
	other, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckAlone(t.Context(), other, "bank"); err != nil {
		t.Fatalf("nobody is there: %v", err)
	}
	if err := ServeAlone(one, "bank", "dev"); err != nil {
		t.Fatal(err)
	}
	err = CheckAlone(t.Context(), other, "bank")
	alone, is := errors.AsType[*AloneError](err)
	if !is || !errors.Is(err, ErrAlone) || *alone != (AloneError{Namespace: "bank", Node: "dev"}) {
		t.Fatalf("error %v, want an AloneError that names dev", err)
	}
	if err := CheckAlone(t.Context(), other, "shop"); err != nil {
		t.Errorf("another namespace: %v", err)
	}
	other.Close()
	if err := CheckAlone(t.Context(), other, "bank"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v without a connection, want ErrUnavailable", err)
	}
	if err := ServeAlone(other, "bank", "dev"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v without a connection, want ErrUnavailable", err)
	}
}
