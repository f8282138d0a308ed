package embedded

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// Sync says when written data is forced to the disk.
type Sync string

// The ways to sync. See DESIGN.md for what each costs and can lose.
const (
	// SyncBarrier leaves the server its default of one sync every two minutes;
	// whoever needs durability waits on [Server.Barrier]. Where the operating
	// system has no syncfs, it is SyncAlways.
	SyncBarrier Sync = "barrier"
	// SyncAlways makes the server sync each write before it acknowledges it.
	SyncAlways Sync = "always"
	// SyncNone leaves the server its default and offers no barrier: a power cut
	// loses what was acknowledged since the last sync, whole streams
	// included. For data that may be thrown away.
	SyncNone Sync = "none"
)

// NoListener as [Config.Port] makes a server that is reached by
// [Server.Connect] only.
const NoListener = -1

// Config says how the server runs. The zero value is an in-memory server on a
// free port of the loopback interface.
type Config struct {
	// Dir is where data is kept; it is created if it is not there, and locked,
	// so that no two processes share it. Default "": a temporary directory that
	// Shutdown removes, meant for streams with memory storage.
	Dir string
	// Host is the address to listen on. Default 127.0.0.1: without UsersFile the
	// server asks nobody for credentials, so it is not for a network.
	Host string
	// Port is the port to listen on, in [1, 65535]. Default 0: a free one.
	// [NoListener]: none.
	Port int
	// UsersFile is a configuration file of a NATS server with accounts and users,
	// and with nothing that it could not take over: then all who come over the
	// network have to be one of these. [Server.Connect] needs no user. Default "":
	// nobody is asked.
	UsersFile string
	// Account is the account of UsersFile that Connect and Mappings are in. Default
	// "": the only one that there is.
	Account string
	// TLS has the network encrypted. Default: it is not.
	TLS TLS
	// Sync says when data is forced to the disk. Default SyncBarrier. Without
	// Dir it plays no part.
	Sync Sync
	// Mappings sends what clients publish to the subject on the left to the one
	// on the right, as the section mappings of a server's configuration file
	// does. Default none.
	Mappings map[string]string
	// Monitor offers the server's own monitoring over HTTP, on a free port of
	// Host: [Server.MonitorURL]. Default false.
	Monitor bool
	// Logger takes the server's own messages, most of them at debug level.
	// Default slog.Default().
	Logger *slog.Logger
	// ServerName is the server's name, as operators see it. Default "annals".
	ServerName string
	// MaxPayloadBytes is the largest message. Default 1 MiB: the limit that
	// clients expect of NATS, and twice the largest commit.
	MaxPayloadBytes int
	// MaxMemoryBytes bounds the streams with memory storage. Default 0: three
	// quarters of the machine's memory.
	MaxMemoryBytes int64
	// MaxStoreBytes bounds the streams with file storage. Default 0: three
	// quarters of the free space.
	MaxStoreBytes int64
	// MaxConnections bounds the connections. Default 4,096: a client needs one,
	// and each costs buffers and file descriptors.
	MaxConnections int
	// ReadyTimeout bounds the wait until the server takes connections. Default
	// one minute: a big store whose index was lost is read from end to end.
	ReadyTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Host = cmp.Or(c.Host, "127.0.0.1")
	c.Sync = cmp.Or(c.Sync, SyncBarrier)
	c.ServerName = cmp.Or(c.ServerName, "annals")
	c.MaxPayloadBytes = cmp.Or(c.MaxPayloadBytes, 1<<20)
	c.MaxConnections = cmp.Or(c.MaxConnections, 4096)
	c.ReadyTimeout = cmp.Or(c.ReadyTimeout, time.Minute)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Sync == SyncBarrier && !syncfsAvailable {
		c.Sync = SyncAlways
	}
	return c
}

func (c Config) validate() error {
	switch c.Sync {
	case SyncBarrier, SyncAlways, SyncNone:
	default:
		return fmt.Errorf("embedded server: sync %q: want %q, %q or %q", c.Sync, SyncBarrier, SyncAlways, SyncNone)
	}
	if c.Port < NoListener || c.Port > math.MaxUint16 {
		return fmt.Errorf("embedded server: port %d is outside [0, %d]", c.Port, math.MaxUint16)
	}
	if c.MaxPayloadBytes < 0 || c.MaxPayloadBytes > math.MaxInt32 {
		return fmt.Errorf("embedded server: largest payload of %d bytes is outside [0, %d]", c.MaxPayloadBytes, math.MaxInt32)
	}
	if c.MaxMemoryBytes < 0 || c.MaxStoreBytes < 0 || c.MaxConnections < 0 || c.ReadyTimeout < 0 {
		return fmt.Errorf("embedded server: a limit is negative")
	}
	return nil
}

// needsBarrier reports whether data is kept and only a barrier makes it durable.
func (c Config) needsBarrier() bool { return c.Dir != "" && c.Sync == SyncBarrier }
