package kv_test

import (
	"context"
	"errors"
	"flag"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/test/ram"
)

func TestMain(m *testing.M) {
	// Most tests wait for a disk, for servers or for time, not for a processor.
	ram.Use()
	_ = flag.Set("test.parallel", "6") // the command line may say something else
	goleak.VerifyTestMain(tests{m})
}

// tests are all of the package's, and then the end of what they share.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code := m.M.Run()
	if three.cluster != nil {
		three.cluster.Shutdown()
	}
	return code
}

// three is the cluster of all tests that leave its servers alone.
var three struct {
	sync.Mutex
	cluster *embedded.Cluster
}

// sharedThree returns a cluster whose servers the test must not stop.
func sharedThree(t *testing.T) *embedded.Cluster {
	t.Helper()
	skipThree(t)
	three.Lock()
	defer three.Unlock()
	if three.cluster == nil {
		cluster, err := embedded.StartCluster(embedded.ClusterConfig{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		three.cluster = cluster
		waitForPlacement(t, cluster)
	}
	return three.cluster
}

// startThree starts a cluster of the test's own.
func startThree(t *testing.T) *embedded.Cluster {
	t.Helper()
	skipThree(t)
	cluster, err := embedded.StartCluster(embedded.ClusterConfig{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Shutdown)
	waitForPlacement(t, cluster)
	return cluster
}

func skipThree(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: -short leaves out the cluster of three")
	}
}

// waitForPlacement waits until the cluster's leader has heard of all servers. On
// a busy machine it may for a while take them for offline, and refuse streams.
func waitForPlacement(t *testing.T, cluster *embedded.Cluster) {
	t.Helper()
	const nowhere = jetstream.ErrorCode(10005)
	js, err := jetstream.New(connect(t, cluster))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "placement", Replicas: 3, Storage: jetstream.MemoryStorage})
		var api *jetstream.APIError
		if ctx.Err() == nil && errors.As(err, &api) && api.ErrorCode == nowhere {
			continue
		}
		if err == nil {
			err = js.DeleteStream(ctx, "placement")
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}
