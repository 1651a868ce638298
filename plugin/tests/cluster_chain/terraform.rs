//! What `--terraform` writes is valid by the provider's schema, and once it is applied, all links
//! of AWS hold.
//!
//! The provider itself cannot be had here. Read by an HCL parser, each resource is held to the
//! arguments that the provider has, and then made by AWS's SDK in an order that its references
//! allow, as Terraform does it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use aws_sdk_eks::types::AccessScope;
use gitops_aws::Aws;
use hcl::eval::{Context, Evaluate, FuncArgs, FuncDef, ParamType};
use hcl::{Block, BlockLabel, Body, Value};
use serde_json::json;

use crate::chain::{Accounts, Chain, REGION, flaws};

/// The arguments of a resource.
struct Schema {
    resource: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// A block that has to be there once, and its arguments.
    block: Option<(&'static str, &'static [&'static str])>,
}

/// Of the provider hashicorp/aws 6.25.0, as `@cdktf/provider-aws` 21.22.1 has them.
const SCHEMAS: [Schema; 6] = [
    Schema {
        resource: "aws_iam_role",
        required: &["assume_role_policy"],
        optional: &["name", "path"],
        block: None,
    },
    Schema {
        resource: "aws_iam_role_policy",
        required: &["policy", "role"],
        optional: &["name"],
        block: None,
    },
    Schema {
        resource: "aws_eks_addon",
        required: &["cluster_name", "addon_name"],
        optional: &[],
        block: None,
    },
    Schema {
        resource: "aws_eks_pod_identity_association",
        required: &["cluster_name", "namespace", "service_account", "role_arn"],
        optional: &["disable_session_tags", "target_role_arn"],
        block: None,
    },
    Schema {
        resource: "aws_eks_access_entry",
        required: &["cluster_name", "principal_arn"],
        optional: &["kubernetes_groups", "type", "user_name"],
        block: None,
    },
    Schema {
        resource: "aws_eks_access_policy_association",
        required: &["cluster_name", "principal_arn", "policy_arn"],
        optional: &[],
        block: Some(("access_scope", &["type", "namespaces"])),
    },
];
/// What every resource may have.
const META: [&str; 2] = ["provider", "depends_on"];

/// Files of a folder, as one.
struct Configuration {
    resources: Vec<Block>,
    /// The region of each provider, by its alias.
    providers: BTreeMap<String, String>,
}

/// A resource whose arguments are known.
struct Resource {
    kind: String,
    name: String,
    arguments: BTreeMap<String, Value>,
    /// Those of the block that it has.
    block: BTreeMap<String, Value>,
}

fn labels(block: &Block) -> Vec<&str> {
    block.labels().iter().map(BlockLabel::as_str).collect()
}

impl Configuration {
    fn read(chain: &Chain, folder: &str) -> Self {
        let mut configuration = Configuration {
            resources: Vec::new(),
            providers: BTreeMap::new(),
        };
        for file in fs::read_dir(chain.home.path().join(folder)).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let body: Body = hcl::parse(&text).unwrap();
            for block in body.into_blocks() {
                match block.identifier() {
                    "resource" => configuration.resources.push(block),
                    "provider" => {
                        let values = values(block.body(), &Context::new()).unwrap();
                        let alias = text_of(&values, "alias");
                        let region = text_of(&values, "region");
                        let other = configuration.providers.insert(alias, region);
                        assert_eq!(other, None, "a provider is there twice");
                        assert_eq!(labels(&block), ["aws"]);
                    }
                    "terraform" => {}
                    other => panic!("there is a block {other}"),
                }
            }
        }
        configuration
    }

    /// Each resource is as the schema has it, and names a provider that there is.
    fn is_valid(&self) {
        for block in &self.resources {
            let [kind, name] = labels(block)[..] else {
                panic!("a resource has a type and a name")
            };
            let schema = SCHEMAS.iter().find(|schema| schema.resource == kind);
            let schema = schema.unwrap_or_else(|| panic!("the provider has no {kind}"));
            let arguments = block.body().attributes().map(hcl::Attribute::key);
            let arguments: Vec<&str> = arguments.collect();
            for required in schema.required {
                assert!(
                    arguments.contains(required),
                    "{kind}.{name} lacks {required}"
                );
            }
            for argument in arguments {
                let is_known = [schema.required, schema.optional, &META]
                    .iter()
                    .any(|all| all.contains(&argument));
                assert!(is_known, "{kind} has no argument {argument}");
            }
            let blocks: Vec<&Block> = block.body().blocks().collect();
            match (schema.block, &blocks[..]) {
                (None, []) => {}
                (Some((name, known)), [one]) => {
                    assert_eq!(one.identifier(), name);
                    for argument in one.body().attributes() {
                        assert!(
                            known.contains(&argument.key()),
                            "{name}: {}",
                            argument.key()
                        );
                    }
                }
                _ => panic!("{kind}.{name} has other blocks than the provider"),
            }
        }
    }

    /// Makes all of it, each resource after those that it names.
    async fn apply(self, chain: &Chain) {
        let mut made: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        let mut waiting = self.resources;
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut left = Vec::new();
            for block in waiting {
                let context = context(&self.providers, &made);
                let Some(resource) = Resource::of(&block, &context) else {
                    left.push(block);
                    continue;
                };
                let known = resource.make(chain).await;
                let name = resource.name;
                let all = made.entry(resource.kind).or_default();
                assert_eq!(all.insert(name, known.into_iter().collect()), None);
            }
            assert!(left.len() < before, "{left:?} name what there is not");
            waiting = left;
        }
    }
}

/// What can be named: providers, and resources that were made.
fn context(
    providers: &BTreeMap<String, String>,
    made: &BTreeMap<String, BTreeMap<String, Value>>,
) -> Context<'static> {
    let mut context = Context::new();
    let providers = providers.keys().map(|alias| (alias.clone(), alias.clone()));
    context.declare_var("aws", providers.collect::<Value>());
    for (kind, resources) in made {
        let resources = resources.iter();
        let resources = resources.map(|(name, known)| (name.clone(), known.clone()));
        context.declare_var(kind.as_str(), resources.collect::<Value>());
    }
    let jsonencode = |arguments: FuncArgs| {
        let text = serde_json::to_string(&arguments[0]);
        text.map(Value::from).map_err(|error| error.to_string())
    };
    let jsonencode = FuncDef::builder().param(ParamType::Any).build(jsonencode);
    context.declare_func("jsonencode", jsonencode);
    context
}

/// The values of what is assigned in a body; None where one names what there is not yet.
fn values(body: &Body, context: &Context) -> Option<BTreeMap<String, Value>> {
    let attributes = body.attributes();
    let evaluated = attributes.map(|attribute| {
        let value = attribute.expr().evaluate(context).ok()?;
        Some((attribute.key().to_owned(), value))
    });
    evaluated.collect()
}

fn text_of(values: &BTreeMap<String, Value>, name: &str) -> String {
    let value = values.get(name).and_then(Value::as_str);
    value
        .unwrap_or_else(|| panic!("{name}: {values:?}"))
        .to_owned()
}

fn texts_of(values: &BTreeMap<String, Value>, name: &str) -> Option<Vec<String>> {
    let all = values.get(name)?.as_array().unwrap().iter();
    Some(all.map(|one| one.as_str().unwrap().to_owned()).collect())
}

impl Resource {
    fn of(block: &Block, context: &Context) -> Option<Self> {
        let labels = labels(block);
        let inner = block.body().blocks().next();
        Some(Resource {
            kind: labels[0].to_owned(),
            name: labels[1].to_owned(),
            arguments: values(block.body(), context)?,
            block: match inner {
                Some(inner) => values(inner.body(), context)?,
                None => BTreeMap::new(),
            },
        })
    }

    fn text(&self, name: &str) -> String {
        text_of(&self.arguments, name)
    }

    /// Makes it, and tells what others may name of it.
    async fn make(&self, chain: &Chain) -> BTreeMap<String, Value> {
        let account = match self.text("provider").as_str() {
            "argocd" => &chain.accounts.engine,
            _ => &chain.accounts.workload,
        };
        let (eks, iam) = (chain.eks(account), chain.iam(account));
        let mut known = self.arguments.clone();
        match self.kind.as_str() {
            "aws_iam_role" => {
                let path = self.arguments.get("path").and_then(Value::as_str);
                let create = iam.create_role().role_name(self.text("name"));
                let create = create.set_path(path.map(str::to_owned));
                let create = create.assume_role_policy_document(self.text("assume_role_policy"));
                let role = create.send().await.unwrap().role.unwrap();
                known.insert("arn".to_owned(), Value::from(role.arn));
            }
            "aws_iam_role_policy" => {
                let put = iam.put_role_policy().role_name(self.text("role"));
                let put = put.policy_name(self.text("name"));
                put.policy_document(self.text("policy"))
                    .send()
                    .await
                    .unwrap();
            }
            "aws_eks_addon" => {
                let create = eks.create_addon().cluster_name(self.text("cluster_name"));
                create
                    .addon_name(self.text("addon_name"))
                    .send()
                    .await
                    .unwrap();
            }
            "aws_eks_pod_identity_association" => {
                let create = eks.create_pod_identity_association();
                let create = create.cluster_name(self.text("cluster_name"));
                let create = create.namespace(self.text("namespace"));
                let create = create.service_account(self.text("service_account"));
                create.role_arn(self.text("role_arn")).send().await.unwrap();
            }
            "aws_eks_access_entry" => {
                let create = eks.create_access_entry();
                let create = create.cluster_name(self.text("cluster_name"));
                let create = create.principal_arn(self.text("principal_arn"));
                let groups = texts_of(&self.arguments, "kubernetes_groups");
                let create = create.set_kubernetes_groups(groups);
                create.r#type(self.text("type")).send().await.unwrap();
            }
            "aws_eks_access_policy_association" => {
                let scope = AccessScope::builder();
                let scope = scope.r#type(text_of(&self.block, "type").as_str().into());
                let scope = scope.set_namespaces(texts_of(&self.block, "namespaces"));
                let associate = eks.associate_access_policy();
                let associate = associate.cluster_name(self.text("cluster_name"));
                let associate = associate.principal_arn(self.text("principal_arn"));
                let associate = associate.policy_arn(self.text("policy_arn"));
                associate.access_scope(scope.build()).send().await.unwrap();
            }
            other => panic!("{other} is not made here"),
        }
        known
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_valid_and_once_it_is_applied_all_links_hold() {
    let aws = Arc::new(Aws::start().await.unwrap());
    for (number, asked) in [
        &[][..],
        &[
            "--access-policy",
            "AmazonEKSEditPolicy",
            "--access-namespaces",
            "shop,shop-*",
            "--namespaces",
            "shop",
        ],
        &["--kubernetes-group", "deployers"],
        &["of a path"],
    ]
    .into_iter()
    .enumerate()
    {
        let chain = Chain::without_roles(Arc::clone(&aws), Accounts::number(number)).await;
        let role = chain.accounts.cluster_role("fleet/argocd");
        let engine = chain.accounts.engine_role("fleet/argocd-pods");
        let with_path = ["--role-arn", &role, "--engine-role-arn", &engine];
        let asked = if asked == ["of a path"] {
            &with_path
        } else {
            asked
        };

        let written = chain
            .onboard(&[asked, &["--terraform", "of aws"]].concat())
            .await;

        assert_eq!(written.status(), 1, "{}", written.transcript());
        let plan = written.json();
        let mends = &crate::chain::link(&plan, "access-entry")["mend"];
        assert!(
            mends.as_array().unwrap().contains(&json!({
                "kind": "terraform", "command": "tofu -chdir='of aws' apply",
            })),
            "{mends}"
        );
        let configuration = Configuration::read(&chain, "of aws");
        configuration.is_valid();
        let regions: Vec<&str> = configuration
            .providers
            .values()
            .map(String::as_str)
            .collect();
        assert_eq!(regions, [REGION, REGION]);
        configuration.apply(&chain).await;

        let plan = chain.onboard(asked).await;
        assert_eq!(
            flaws(&plan.json()),
            [] as [String; 0],
            "{asked:?}: {}",
            plan.transcript()
        );
    }
    aws.agrees_with_the_model().unwrap();
}
