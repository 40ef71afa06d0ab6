# The policies as JSON.

output "policies" {
  description = "Policy of each role, by the role's name; its service account is called potstill-NAME."
  value = merge(
    { for name, statements in local.policies : name => jsonencode({ Version = "2012-10-17", Statement = statements }) },
    { collector = jsonencode({ Version = "2012-10-17", Statement = local.collector }) },
  )
}

output "bucket_policy" {
  description = "Policy of the bucket itself, which binds everybody."
  value       = jsonencode({ Version = "2012-10-17", Statement = local.bucket_policy })
}
