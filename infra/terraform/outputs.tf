# What the next steps of infra/README.md need: for `python -m deployments.setup`, for docker, and for the Helm values.

output "store_url" {
  description = "Store of all deployments: `python -m deployments.setup --pools kubernetes --store URL`."
  value       = "s3://${aws_s3_bucket.store.id}/${var.store_prefix}"
}

output "inputs_url" {
  description = "Where prompts are put that runs read."
  value       = "s3://${aws_s3_bucket.store.id}/inputs"
}

output "images" {
  description = "Repository of each image; push with a tag that was never used."
  value       = { for name, repository in aws_ecr_repository.image : name => repository.repository_url }
}

output "cluster" {
  description = "Name of the cluster: `aws eks update-kubeconfig --name NAME`."
  value       = aws_eks_cluster.this.name
}

output "namespace" {
  description = "Namespace of server, workers and flow runs."
  value       = var.namespace
}

output "service_accounts" {
  description = "Service accounts to create in the namespace; each gets its role by its name alone."
  value       = { for role in keys(module.access.policies) : role => local.service_accounts[role].name }
}

output "role_arns" {
  description = "Role of each service account. Pods get it by the account's name, so no Helm value has to repeat it."
  value       = { for role, iam in aws_iam_role.pod : role => iam.arn }
}

output "database_host" {
  description = "Host of the Prefect server's Postgres; user and database are called prefect."
  value       = aws_db_instance.prefect.address
}
