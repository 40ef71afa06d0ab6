# What the policies are about; the caller is roles.tf.

variable "partition" {
  description = "AWS partition, as in ARNs."
  type        = string
}

variable "region" {
  description = "Region of the bucket."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket."
  type        = string
}

variable "store_prefix" {
  description = "Folder of the artefact store in the bucket."
  type        = string
}

variable "key_arn" {
  description = "KMS key that the bucket is encrypted with."
  type        = string
}
