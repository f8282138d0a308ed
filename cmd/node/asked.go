package node

import (
	"github.com/spf13/pflag"

	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/gateway"
)

// askedFlags say what those who come are asked, over HTTP as over NATS: the
// tokens are good for both.
type askedFlags struct {
	web      web.Flags
	required bool
	named    []string
	quotas   []string
}

func (f *askedFlags) add(flags *pflag.FlagSet) {
	f.web.AddTo(flags)
	flags.StringArrayVar(&f.quotas, "quota", nil, quotaHelp)
	flags.StringArrayVar(&f.named, "named", nil, namedHelp)
	flags.BoolVar(&f.required, "require-identity", false, "refuse requests over NATS too that neither a subject as.PRINCIPAL nor a token gives a name")
}

// asked is what they come to. The zero value asks nobody anything.
type asked struct {
	web      web.Access
	required bool
	named    map[string][]string // nil: the permissions of the servers decide alone
	quotas   gateway.Quotas
}

// check reads the flags, for what listens for HTTP at an address.
func (f *askedFlags) check(s *Session, at web.Address) (a asked, err error) {
	a.required = f.required
	if a.quotas, err = parseQuotas(f.quotas); err != nil {
		return a, err
	}
	if a.named, err = parseNamed(f.named); err != nil {
		return a, err
	}
	a.web, err = f.web.Access(at, s.Logger())
	return a, err
}

// authentication is the gateway's.
func (a asked) authentication() gateway.Authentication {
	return gateway.Authentication{Tokens: a.web.Verifier(), Required: a.required, Named: a.named}
}
