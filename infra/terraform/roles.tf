# Who may do what. A pod gets a role by its service account, through EKS Pod Identity: no keys, no annotations, and no role at
# all for the Prefect server and the workers, which only talk to the API server. access/main.tf says what each role may do in
# the store.
#
# EKS Pod Identity rather than IRSA: the trust needs no OIDC provider, and is the same in every cluster.

module "access" {
  source = "./access"

  partition    = local.partition
  region       = var.region
  bucket       = aws_s3_bucket.store.id
  store_prefix = var.store_prefix
  key_arn      = aws_kms_key.this.arn
}

locals {
  service_accounts = merge(
    { for role in keys(module.access.policies) : role => { namespace = var.namespace, name = "potstill-${role}" } },
    { autoscaler = { namespace = "kube-system", name = "cluster-autoscaler" } },
  )
}

resource "aws_iam_role" "pod" {
  for_each = local.service_accounts

  name        = "${var.name}-${each.key}"
  description = "Pods of the service account ${each.value.namespace}/${each.value.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:RequestTag/eks-cluster-name"           = local.cluster
          "aws:RequestTag/kubernetes-namespace"       = each.value.namespace
          "aws:RequestTag/kubernetes-service-account" = each.value.name
        }
      }
    }]
  })
}

resource "aws_eks_pod_identity_association" "pod" {
  for_each = local.service_accounts

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.name
  role_arn        = aws_iam_role.pod[each.key].arn
}

resource "aws_iam_role_policy" "store" {
  for_each = module.access.policies

  name   = "store"
  role   = aws_iam_role.pod[each.key].id
  policy = each.value
}

# The cluster autoscaler may resize this cluster's node groups and look at the rest of EC2, which knows no narrower permission.
resource "aws_iam_role_policy" "autoscaler" {
  name = "resize-node-groups"
  role = aws_iam_role.pod["autoscaler"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups",
          "autoscaling:DescribeAutoScalingInstances",
          "autoscaling:DescribeLaunchConfigurations",
          "autoscaling:DescribeScalingActivities",
          "ec2:DescribeImages",
          "ec2:DescribeInstanceTypes",
          "ec2:DescribeLaunchTemplateVersions",
          "ec2:GetInstanceTypesFromInstanceRequirements",
        ]
        Resource = "*"
      },
      {
        Sid      = "LookAtNodeGroups" # the labels and taints of an empty group
        Effect   = "Allow"
        Action   = "eks:DescribeNodegroup"
        Resource = "arn:${local.partition}:eks:${var.region}:${local.account}:nodegroup/${local.cluster}/*"
      },
      {
        Sid       = "Resize"
        Effect    = "Allow"
        Action    = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource  = "arn:${local.partition}:autoscaling:${var.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/*"
        Condition = { StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${local.cluster}" = "owned" } }
      },
    ]
  })
}
