package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/server/webhook"
)

// maxWebhooksBytes is the largest webhooks.yaml that is read.
const maxWebhooksBytes = 256 << 10

// WebhookList is the file that webhooks names: whom the service tells of events.
type WebhookList struct {
	// State is the directory for what is kept of each endpoint, relative to the file; by default webhooks.state beside it.
	State string `yaml:"state"`
	// Endpoints are told, each of its own.
	Endpoints []WebhookEndpoint `yaml:"endpoints"`
}

// WebhookEndpoint is where events are posted to. Without filters it is told everything.
type WebhookEndpoint struct {
	// Name is in file names, log lines and metrics.
	Name string `yaml:"name"`
	// URL is https, or http on a loopback address.
	URL string `yaml:"url"`
	// SecretFile holds the secret, mode 0600, as whsec_ and base64; relative to the list.
	SecretFile string `yaml:"secretFile"`
	// The filters are those of WatchRequest.
	StatementIDs []string `yaml:"statementIds"`
	Artifacts    []string `yaml:"artifactSha256s"`
	KeyIDs       []string `yaml:"keyIds"`
	Vendors      []string `yaml:"vendors"`
	Products     []string `yaml:"products"`
}

// webhooks reads whom to tell, and where what is kept of them is; nobody where webhooks is empty.
func (c *Config) webhooks() (endpoints []webhook.Endpoint, state string, err error) {
	if c.Webhooks == "" {
		return nil, "", nil
	}
	path := c.path(c.Webhooks)
	data, err := readLimited(path, maxWebhooksBytes)
	if err != nil {
		return nil, "", err
	}
	list := WebhookList{State: "webhooks.state"}
	if err := decodeStrictly(data, &list); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	beside := func(p string) string {
		if filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(filepath.Dir(path), p)
	}
	for i, e := range list.Endpoints {
		one, err := e.open(beside)
		if err != nil {
			return nil, "", fmt.Errorf("%s: endpoints[%d]: %w", path, i, err)
		}
		endpoints = append(endpoints, one)
	}
	return endpoints, beside(list.State), nil
}

func (e *WebhookEndpoint) open(beside func(string) string) (webhook.Endpoint, error) {
	one := webhook.Endpoint{Name: e.Name, Filter: &avowv1.WatchRequest{StatementIds: e.StatementIDs, ArtifactSha256S: e.Artifacts,
		KeyIds: e.KeyIDs, Vendors: e.Vendors, Products: e.Products}}
	var err error
	if one.URL, err = webhook.ParseURL(e.URL); err != nil {
		return one, fmt.Errorf("url: %w", err)
	}
	if e.SecretFile == "" {
		return one, errors.New("secretFile is not set: receivers know by the secret that it was this service")
	}
	text, err := readSecret(beside(e.SecretFile))
	if err != nil {
		return one, fmt.Errorf("secretFile: %w", err)
	}
	if one.Secret, err = webhook.ParseSecret(text); err != nil {
		return one, fmt.Errorf("secretFile: %s: %w", e.SecretFile, err)
	}
	return one, nil
}

// openWebhooks makes the teller of the configured endpoints; nil without any.
func (c *Config) openWebhooks(p *parts, logger *slog.Logger) (*webhook.Teller, error) {
	endpoints, state, err := c.webhooks()
	if err != nil || len(endpoints) == 0 {
		return nil, err
	}
	if c.Index.Dir == "" {
		return nil, errors.New("webhooks: events come from the complete index, and index.dir is empty")
	}
	return webhook.New(webhook.Config{Endpoints: endpoints, Origin: c.Origin, State: state, Watch: p.server.Watch, Logger: logger,
		Registerer: p.metrics})
}

func newWebhookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "List, try and send again what webhooks tell",
		Long: `List the configured webhooks and what they did not take, send that again, or try one out. The commands work beside a running
service (docs/watch.md).`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var config string
	cmd.PersistentFlags().StringVarP(&config, "config", "c", configName, "configuration file")
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List the endpoints, how far each was told, and what it did not take",
		Example: "  avowd webhook list --config avowd.yaml", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return eachWebhook(config, "", listWebhook(cmd)) },
	}, &cobra.Command{
		Use: "retry NAME [ID...]", Short: "Send again what an endpoint did not take, all or some of it",
		Example: "  avowd webhook retry siem\n  avowd webhook retry siem evt_0123456789abcdef0123456789abcdef", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachWebhook(config, args[0], retryWebhook(cmd, args[1:]))
		},
	}, &cobra.Command{
		Use: "test NAME", Short: "Send an endpoint a message of the type avow.test",
		Example: "  avowd webhook test siem", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return eachWebhook(config, args[0], testWebhook(cmd)) },
	})
	return cmd
}

// eachWebhook does something with every endpoint, or with the one of a name.
func eachWebhook(config, name string, do func(*webhook.Endpoint, webhook.Files) error) error {
	c, err := loadConfig(config)
	if err != nil {
		return err
	}
	endpoints, state, err := c.webhooks()
	if err != nil {
		return err
	}
	found := false
	for i := range endpoints {
		e := &endpoints[i]
		if name != "" && e.Name != name {
			continue
		}
		found = true
		f, err := webhook.FilesOf(state, e.Name)
		if err == nil {
			err = do(e, f)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	if !found && name != "" {
		return usageError{fmt.Errorf("there is no endpoint %q", name), "avowd webhook list names them; the configuration's webhooks says where they are"}
	}
	return nil
}

func listWebhook(cmd *cobra.Command) func(*webhook.Endpoint, webhook.Files) error {
	return func(e *webhook.Endpoint, f webhook.Files) error {
		next, known, err := f.Next()
		if err != nil {
			return err
		}
		dead, err := f.Dead()
		if err != nil {
			return err
		}
		place := "nothing yet"
		if known {
			place = fmt.Sprintf("everything before entry %d", next)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: told %s; %d not taken\n", e.Name, place, len(dead))
		for _, id := range dead {
			l, err := f.Letter(id)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "  %s  given up %s after %d tries: %s\n", id, l.GivenUp.UTC().Format(time.RFC3339), l.Tries, l.Error)
		}
		return nil
	}
}

func retryWebhook(cmd *cobra.Command, ids []string) func(*webhook.Endpoint, webhook.Files) error {
	return func(e *webhook.Endpoint, f webhook.Files) error {
		dead, err := f.Dead()
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !slices.Contains(dead, id) {
				return fmt.Errorf("there is no dead letter %q", id)
			}
		}
		if len(ids) > 0 {
			dead = ids
		}
		for _, id := range dead {
			l, err := f.Letter(id)
			if err != nil {
				return err
			}
			if err := new(webhook.Poster).Post(cmd.Context(), e, &webhook.Message{ID: l.ID, Body: l.Body}); err != nil {
				return fmt.Errorf("%s was not taken: %w", id, err)
			}
			if err := f.Remove(id); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s was taken\n", e.Name, id)
		}
		return nil
	}
}

func testWebhook(cmd *cobra.Command) func(*webhook.Endpoint, webhook.Files) error {
	return func(e *webhook.Endpoint, _ webhook.Files) error {
		m, err := webhook.NewTest(time.Now())
		if err != nil {
			return err
		}
		if err := new(webhook.Poster).Post(cmd.Context(), e, &m); err != nil {
			return fmt.Errorf("the message was not taken: %w", err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: the message was taken\n", e.Name)
		return nil
	}
}
