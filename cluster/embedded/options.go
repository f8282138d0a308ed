package embedded

import (
	"fmt"
	"maps"
	"slices"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// options translates the configuration. The error is that of a mapping.
func options(cfg Config, dir string) (*natsserver.Options, error) {
	opts := &natsserver.Options{
		ServerName:             cfg.ServerName,
		Host:                   cfg.Host,
		Port:                   cfg.Port,
		DontListen:             cfg.Port == NoListener,
		JetStream:              true,
		StoreDir:               dir,
		SyncAlways:             cfg.Dir != "" && cfg.Sync == SyncAlways,
		JetStreamMaxMemory:     cfg.MaxMemoryBytes,
		JetStreamMaxStore:      cfg.MaxStoreBytes,
		MaxPayload:             int32(cfg.MaxPayloadBytes),
		MaxConn:                cfg.MaxConnections,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
	}
	if cfg.Port == 0 {
		opts.Port = natsserver.RANDOM_PORT
	}
	if cfg.Monitor {
		opts.HTTPHost, opts.HTTPPort = cfg.Host, natsserver.RANDOM_PORT
	}
	return opts, addMappings(opts, cfg.Mappings)
}

// globalAccount is the account of all clients where there are no credentials.
const globalAccount = "$G"

func addMappings(opts *natsserver.Options, mappings map[string]string) error {
	if len(mappings) == 0 {
		return nil
	}
	account := natsserver.NewAccount(globalAccount)
	for _, from := range slices.Sorted(maps.Keys(mappings)) {
		if err := account.AddMapping(from, mappings[from]); err != nil {
			return fmt.Errorf("map %s to %s: %w", from, mappings[from], err)
		}
	}
	opts.Accounts = append(opts.Accounts, account)
	return nil
}
