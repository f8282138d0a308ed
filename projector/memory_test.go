package projector_test

import (
	"testing"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/projectortest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	projectortest.Run(t, projectortest.Harness{
		Open: func(*testing.T) projector.Store { return &projector.Memory{} },
		Tear: func(_ *testing.T, s projector.Store, view string, version int, docs []projector.Document) {
			s.(*projector.Memory).Tear(view, version, docs...)
		},
	})
}

func TestMemoryRegistryConforms(t *testing.T) {
	t.Parallel()
	projectortest.RunRegistry(t, projectortest.RegistryHarness{
		Open: func(*testing.T) (one, other projector.Registry) {
			r := &projector.MemoryRegistry{}
			return r, r
		},
	})
}
