package node

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/cmd/node/web"
)

// devAccess says who may come to the NATS server of dev, and how.
type devAccess struct {
	users, account string
	tls            embedded.TLS
	exposed        bool
}

func (a *devAccess) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.users, "users", "", "let in only the users of `FILE`: accounts of a NATS server's configuration, such as generate permissions prints")
	flags.StringVar(&a.account, "account", "", "`NAME` of the account of --users that the namespace is in (default: the only one)")
	flags.StringVar(&a.tls.CertFile, "nats-cert", "", "`FILE` with the certificate of the NATS server, which then speaks TLS only")
	flags.StringVar(&a.tls.KeyFile, "nats-key", "", "`FILE` with the key of --nats-cert")
	flags.StringVar(&a.tls.ClientCAFile, "nats-client-ca", "", "`FILE` with the authorities of which each NATS client must have a certificate")
	flags.BoolVar(&a.exposed, "exposed", false, "listen for other machines without users or without TLS: whoever reaches --nats may read and change everything")
}

// configure writes it into the configuration of a server.
func (a devAccess) configure(c *embedded.Config) {
	c.UsersFile, c.Account, c.TLS = a.users, a.account, a.tls
}

// closed reports whether strangers on the network can neither come in nor listen.
func (a devAccess) closed() bool { return a.users != "" && a.tls != embedded.TLS{} }

// check refuses what is incomplete, and an open door.
func (a devAccess) check(nats web.Address, nodes int) error {
	switch {
	case (a.tls.CertFile == "") != (a.tls.KeyFile == ""):
		return Usage("--nats-cert and --nats-key belong together")
	case a.tls.ClientCAFile != "" && a.tls.CertFile == "":
		return Usage("--nats-client-ca is part of TLS: name the server's certificate too, with --nats-cert and --nats-key")
	case a.account != "" && a.users == "":
		return Usage("--account is one of the file that --users names")
	case nodes > 1 && (a.users != "" || a.tls != embedded.TLS{}):
		return Usage("--users and --nats-cert are for one node: with --nodes the servers are for trying a cluster out, on this machine")
	case nats.Public() && nodes == 1 && !a.closed() && !a.exposed:
		return a.refusal(nats)
	}
	return nil
}

func (a devAccess) refusal(nats web.Address) *Failure {
	var missing, flags []string
	if a.users == "" {
		missing, flags = append(missing, "nothing asks them who they are"), append(flags, "--users FILE")
	}
	if a.tls.CertFile == "" {
		missing, flags = append(missing, "others on the network can listen"), append(flags, "--nats-cert FILE --nats-key FILE")
	}
	return &Failure{
		Code: codeExposed, Exit: console.ExitUsage,
		What: fmt.Sprintf("--nats %s lets other machines connect", nats),
		Why:  strings.Join(missing, ", and "),
		Fix:  "add " + strings.Join(flags, " ") + "; or listen on 127.0.0.1; or, where nobody else is on the network, --exposed",
	}
}

// words say who may come in: to NATS, and to HTTP, where tokens may be asked for.
func (a devAccess) words(tokens bool) string {
	nats, http := "no authentication", "no authentication"
	if a.users != "" {
		nats = "users of " + a.users
	}
	if tokens {
		http = "tokens"
	}
	same := nats == http
	switch {
	case a.tls.ClientCAFile != "":
		nats += ", mutual TLS"
	case a.tls.CertFile != "":
		nats += ", TLS"
	}
	if same {
		return nats
	}
	return nats + " on NATS, " + http + " on HTTP"
}

// shown is a line for the stock client with what its user has to add here, in capitals what is the user's own.
func (a devAccess) shown(line, namespace string) string {
	var flags string
	if a.tls.CertFile != "" {
		flags += "--tlsca FILE "
	}
	if a.tls.ClientCAFile != "" {
		flags += "--tlscert FILE --tlskey FILE "
	}
	if a.users != "" {
		flags += "--nkey FILE --inbox-prefix _INBOX_NAME "
		line = strings.Replace(line, " "+namespace+".cmd.", " "+namespace+".as.NAME.cmd.", 1)
	}
	return strings.Replace(line, " req ", " "+flags+"req ", 1)
}
