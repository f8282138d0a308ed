package permissions

import (
	"fmt"
	"strings"
)

// How long, and how often, a user may answer where a message says. A watch has
// one such subject; when its time is over the next message gives it anew.
const (
	responsesMost = 65536
	responsesFor  = "10m"
)

// Conf is them as a part of a NATS server's configuration.
func (s Set) Conf() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Users of namespace %s, made by "%s generate permissions". Include it in the
# configuration of each NATS server, or name it with --users to dev. What is not
# listed is refused. The servers themselves need TLS: tls { cert_file, key_file }, with
# ca_file and verify: true for mutual TLS; routes and monitoring on a private network.

max_payload: 1MB
max_control_line: 4KB

accounts {
  %s {
    jetstream: enabled
    users: [
`, s.Namespace, s.App, s.Account)
	for _, u := range s.Users {
		u.conf(&b, s.App)
	}
	b.WriteString("    ]\n  }\n}\n")
	return b.String()
}

func (u User) conf(b *strings.Builder, app string) {
	fmt.Fprintf(b, "      # %s, %s: %s --nkey %s --inbox-prefix %s%s\n      {\n", u.Name, u.Role, app, u.seedFile(), u.Inbox, u.asFlag())
	fmt.Fprintf(b, "        nkey: %s\n        permissions: {\n", u.publicKey())
	lists(b, "publish", u.Rules, func(r Rule) []string { return r.Publish })
	lists(b, "subscribe", u.Rules, func(r Rule) []string { return r.Subscribe })
	if u.Responses {
		fmt.Fprintf(b, "          allow_responses: { max: %d, expires: %q }\n", responsesMost, responsesFor)
	}
	b.WriteString("        }\n      }\n")
}

// lists prints one direction of the rules, each with its reason.
func lists(b *strings.Builder, direction string, rules []Rule, of func(Rule) []string) {
	fmt.Fprintf(b, "          %s: { allow: [\n", direction)
	for _, r := range rules {
		subjects := of(r)
		if len(subjects) == 0 {
			continue
		}
		fmt.Fprintf(b, "            # %s\n", r.Why)
		for _, subject := range subjects {
			fmt.Fprintf(b, "            %q\n", subject)
		}
	}
	b.WriteString("          ] }\n")
}

// NSC is them as commands that make the account and its users with nsc.
func (s Set) NSC() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Users of namespace %s, made by "%s generate permissions --format nsc", for an
# operator that nsc knows. What is not listed is refused.

nsc add account --name %s
nsc edit account --name %s --js-disk-storage -1 --js-mem-storage -1 --js-streams -1 --js-consumer -1
`, s.Namespace, s.App, s.Account, s.Account)
	for _, u := range s.Users {
		fmt.Fprintf(&b, "\n# %s, %s: %s --creds FILE --inbox-prefix %s%s\nnsc add user --account %s --name %s", u.Name, u.Role, s.App, u.Inbox, u.asFlag(), s.Account, u.Name)
		if u.Key != "" {
			fmt.Fprintf(&b, " --public-key %s", u.Key)
		}
		for _, r := range u.Rules {
			quoted(&b, "--allow-pub", r.Publish)
			quoted(&b, "--allow-sub", r.Subscribe)
		}
		if u.Responses {
			fmt.Fprintf(&b, " \\\n  --allow-pub-response=%d --response-ttl %s", responsesMost, responsesFor)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// quoted prints a flag whose subjects a shell leaves as they are.
func quoted(b *strings.Builder, flag string, subjects []string) {
	if len(subjects) > 0 {
		fmt.Fprintf(b, " \\\n  %s '%s'", flag, strings.Join(subjects, ","))
	}
}

// asFlag is how a user says its name, if it asks under one.
func (u User) asFlag() string {
	if u.Role == roleNode || u.Role == roleProjector {
		return ""
	}
	return " --as " + u.Name
}
