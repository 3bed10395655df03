package main

import (
	"context"
	"errors"
	"unicode"

	"github.com/docker/docker/client"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	upstream "github.com/terraform-providers/terraform-provider-docker/internal/provider"

	"github.com/terraform-providers/terraform-provider-docker/pulumi/image"
)

const defaultHost = "unix:///var/run/docker.sock"

// bridgedProvider maps the Terraform provider's resources to the official provider's tokens and property names.
// The second result connects to the engine that the Terraform provider was configured with.
func bridgedProvider() (tfbridge.ProviderInfo, image.Engine) {
	tf := upstream.New("dev")()
	info := tfbridge.ProviderInfo{
		P:    shimv2.NewProvider(tf),
		Name: "docker",
		Config: map[string]*tfbridge.SchemaInfo{
			"host":          {Default: &tfbridge.DefaultInfo{EnvVars: []string{"DOCKER_HOST"}, Value: defaultHost}},
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_container": {
				Tok:                 resourceToken("Container"),
				DeleteBeforeReplace: true,
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           {Name: "command"},
					"networks_advanced": {Name: "networksAdvanced"},
				},
			},
			"docker_image":   {Tok: resourceToken("RemoteImage"), Fields: map[string]*tfbridge.SchemaInfo{"name": {Name: "name"}}},
			"docker_network": {Tok: resourceToken("Network")},
			"docker_tag":     {Tok: resourceToken("Tag")},
			"docker_volume":  {Tok: resourceToken("Volume")},
		},
		IgnoreMappings: []string{
			"docker_buildx_builder", "docker_config", "docker_plugin", "docker_registry_image", "docker_secret", "docker_service",
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_image":   {Tok: functionToken("getRemoteImage")},
			"docker_network": {Tok: functionToken("getNetwork")},
		},
	}
	info.SetAutonaming(255, "-")

	engine := func(ctx context.Context) (*client.Client, error) {
		config, ok := tf.Meta().(*upstream.ProviderConfig)
		if !ok {
			return nil, errors.New("the docker provider is not configured")
		}
		return config.MakeClient(ctx, nil)
	}
	return info, engine
}

func resourceToken(name string) tokens.Type { return tokens.Type(memberToken(name)) }

func functionToken(name string) tokens.ModuleMember { return tokens.ModuleMember(memberToken(name)) }

func memberToken(name string) string {
	return "docker:index/" + string(unicode.ToLower(rune(name[0]))) + name[1:] + ":" + name
}
