package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// ClusterConfig says how the servers of a cluster run. The zero value is
// three servers in temporary directories.
type ClusterConfig struct {
	// Servers is how many there are, in [3, 7]. Default 3: the fewest that
	// outlive the loss of one.
	Servers int
	// Dir is where data is kept, in a directory for each server. Default "":
	// temporary directories, which last as long as the cluster: they survive
	// Stop and Start of a server.
	Dir string
	// Sync is SyncAlways or SyncNone. Default SyncAlways if there is a Dir, else
	// SyncNone. The barrier is for one server.
	Sync Sync
	// Port is the port on which the first server takes clients, in [1, 65535].
	// Default 0: a free one, which the other servers always have.
	Port int
	// Mappings are those of each server, as in [Config]. Default none.
	Mappings map[string]string
	// Monitor offers the monitoring of each server, as in [Config]. Default false.
	Monitor bool
	// Name is the cluster's name. Default "annals".
	Name string
	// Logger takes the servers' own messages. Default slog.Default().
	Logger *slog.Logger
	// ReadyTimeout bounds the wait until the servers have elected a leader.
	// Default one minute; it usually takes 1 to 10 seconds.
	ReadyTimeout time.Duration
}

func (c ClusterConfig) withDefaults() ClusterConfig {
	c.Servers = cmp.Or(c.Servers, 3)
	if c.Sync == "" && c.Dir == "" {
		c.Sync = SyncNone
	}
	c.Sync = cmp.Or(c.Sync, SyncAlways)
	c.Name = cmp.Or(c.Name, "annals")
	c.ReadyTimeout = cmp.Or(c.ReadyTimeout, time.Minute)
	return c
}

func (c ClusterConfig) validate() error {
	if c.Servers < 3 || c.Servers > 7 {
		return fmt.Errorf("embedded cluster: %d servers are outside [3, 7]", c.Servers)
	}
	if c.Sync != SyncAlways && c.Sync != SyncNone {
		return fmt.Errorf("embedded cluster: sync %q: want %q or %q", c.Sync, SyncAlways, SyncNone)
	}
	if c.Port < 0 || c.Port > math.MaxUint16 {
		return fmt.Errorf("embedded cluster: port %d is outside [0, %d]", c.Port, math.MaxUint16)
	}
	if c.ReadyTimeout < 0 {
		return errors.New("embedded cluster: the ready timeout is negative")
	}
	return nil
}
