package embedded

import (
	"fmt"
	"maps"
	"slices"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// options translates the configuration. insider is who comes in by
// [Server.Connect]; nil: nobody is asked who he is. The error is that of a
// mapping, of the users' file ([ErrUsers]) or of a certificate ([ErrTLS]).
func options(cfg Config, dir string) (_ *natsserver.Options, _ *insider, err error) {
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
	if opts.TLSConfig, err = cfg.TLS.config(); err != nil {
		return nil, nil, err
	}
	opts.TLS, opts.TLSVerify = opts.TLSConfig != nil, cfg.TLS.ClientCAFile != ""
	account, in, err := addUsers(opts, cfg)
	if err == nil {
		err = addMappings(opts, account, cfg.Mappings)
	}
	return opts, in, err
}

// globalAccount is the account of all clients where there are no others.
const globalAccount = "$G"

// addMappings sets the mappings up in the account; nil: the global one.
func addMappings(opts *natsserver.Options, account *natsserver.Account, mappings map[string]string) error {
	if len(mappings) == 0 {
		return nil
	}
	if account == nil {
		account = natsserver.NewAccount(globalAccount)
		opts.Accounts = append(opts.Accounts, account)
	}
	for _, from := range slices.Sorted(maps.Keys(mappings)) {
		if err := account.AddMapping(from, mappings[from]); err != nil {
			return fmt.Errorf("map %s to %s: %w", from, mappings[from], err)
		}
	}
	return nil
}
